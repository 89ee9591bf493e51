//! Packs what a job leaves behind: `model.tar.gz` and `output.tar.gz`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use tar::Builder;

/// Packs the content of the hosts' folders into one archive, members in order of their names. Returns false, and writes
/// nothing, when all of them are empty. assumed: the hosts' folders are laid over each other and for equal names the first
/// host wins; AWS only warns that hosts overwrite each other.
///
/// # Errors
/// When reading or writing fails.
pub fn pack(folders: &[PathBuf], to: &Path) -> std::io::Result<bool> {
    let mut members = BTreeMap::new();
    for folder in folders {
        collect(folder, Path::new(""), &mut members)?;
    }
    if members.is_empty() {
        return Ok(false);
    }
    let mut archive = Builder::new(GzEncoder::new(BufWriter::new(File::create(to)?), Compression::default()));
    // A link stays a link: what it points to outside of the folder is none of the model's.
    archive.follow_symlinks(false);
    for (name, path) in &members {
        archive.append_path_with_name(path, name)?;
    }
    archive.into_inner()?.finish()?.flush()?;
    Ok(true)
}

/// Files, folders and links below a folder; sockets, pipes and devices are left out (reading a pipe would never end).
fn collect(folder: &Path, below: &Path, members: &mut BTreeMap<PathBuf, PathBuf>) -> std::io::Result<()> {
    let entries = match fs::read_dir(folder.join(below)) {
        Ok(entries) => entries,
        // The script may have removed its own model folder.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        let name = below.join(entry.file_name());
        if !(kind.is_file() || kind.is_dir() || kind.is_symlink()) {
            continue;
        }
        members.entry(name.clone()).or_insert_with(|| entry.path());
        if kind.is_dir() {
            collect(folder, &name, members)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn nothing_is_packed_from_empty_folders() {
        let folder = tempfile::tempdir().expect("a folder");
        let to = folder.path().join("m.tar.gz");
        assert!(!pack(&[folder.path().join("missing"), folder.path().to_owned()], &to).expect("packs"));
        assert!(!to.exists());
    }

    #[test]
    fn hosts_are_laid_over_each_other_and_pipes_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let hosts: Vec<PathBuf> = ["1", "2"].iter().map(|name| folder.path().join(name)).collect();
        for (number, host) in hosts.iter().enumerate() {
            fs::create_dir_all(host.join("sub")).expect("a folder");
            fs::write(host.join("model"), number.to_string()).expect("writes");
            fs::write(host.join("sub").join(number.to_string()), "x").expect("writes");
        }
        nix::unistd::mkfifo(&hosts[0].join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        std::os::unix::fs::symlink("/etc/passwd", hosts[0].join("link")).expect("a link");
        let to = folder.path().join("m.tar.gz");
        assert!(pack(&hosts, &to).expect("packs"));

        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(File::open(&to).expect("opens")));
        let mut names = Vec::new();
        for entry in archive.entries().expect("reads") {
            let mut entry = entry.expect("reads");
            let name = entry.path().expect("a name").display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("reads");
            if name == "model" {
                assert_eq!(text, "0", "the first host wins");
            }
            assert!(!text.contains("root:"), "the link was followed");
            names.push(name.trim_end_matches('/').to_owned());
        }
        assert_eq!(names, ["link", "model", "sub", "sub/0", "sub/1"]);
    }
}
