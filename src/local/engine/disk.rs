//! How much disk a folder uses.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The bytes that a folder occupies on the disk. What vanishes or cannot be read while it is counted counts as nothing: the
/// job is still writing.
#[must_use]
pub fn used(folder: &Path) -> u64 {
    let mut total = 0;
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            // Blocks of 512 bytes, whatever the file system's own (stat(2)); a sparse file counts what it really takes.
            total += metadata.blocks() * 512;
            if metadata.is_dir() {
                open.push(entry.path());
            }
        }
    }
    total
}
