//! The content of objects and parts: files with random names, and what is computed while they are written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};
use s3s::checksum::ChecksumHasher;
use s3s::dto::Checksum;

use crate::local::store::random_name;

/// Content that no row refers to yet; removed when dropped, unless it was kept.
pub struct Draft {
    name: String,
    path: PathBuf,
    kept: bool,
}

impl Draft {
    pub(super) fn new(blobs: &Path) -> io::Result<Self> {
        let name = random_name()?;
        let path = path(blobs, &name);
        if let Some(shelf) = path.parent() {
            fs::create_dir_all(shelf)?;
        }
        Ok(Self { name, path, kept: false })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn create(&self) -> io::Result<File> {
        File::options().write(true).create_new(true).open(&self.path)
    }

    /// Waits until the finished content is on the disk, name and all: a row that refers to it must not outlive it when the
    /// machine loses power.
    pub fn settle(&self, file: &File) -> io::Result<()> {
        file.sync_data()?;
        match self.path.parent() {
            Some(shelf) => File::open(shelf)?.sync_data(),
            None => Ok(()),
        }
    }

    /// A row refers to it now.
    pub fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            fs::remove_file(&self.path).ok();
        }
    }
}

/// Where the content of this name is: 256 shelves, so that no folder grows without end.
pub(super) fn path(blobs: &Path, name: &str) -> PathBuf {
    blobs.join(name.get(..2).unwrap_or("00")).join(name)
}

/// MD5 for the `ETag`, and the checksums that were asked for, in one pass.
pub struct Digests {
    md5: Md5,
    checksums: ChecksumHasher,
    size: u64,
}

/// What [`Digests`] found.
pub struct Sums {
    /// Lower-case hexadecimal.
    pub md5: String,
    /// Bytes.
    pub size: u64,
    pub checksums: Checksum,
}

impl Digests {
    pub fn new(checksums: ChecksumHasher) -> Self {
        Self { md5: Md5::new(), checksums, size: 0 }
    }

    /// With the checksum S3 computes when a client names none: CRC64NVME.
    pub fn default_checksum() -> Self {
        Self::new(ChecksumHasher { crc64nvme: Some(s3s::crypto::Crc64Nvme::default()), ..ChecksumHasher::default() })
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.checksums.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// Copies all that is left of a file, and sums it up on the way.
    pub fn copy(&mut self, mut from: impl Read, to: &mut File) -> io::Result<()> {
        let mut buffer = vec![0_u8; 256 * 1024];
        loop {
            let count = from.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            self.update(&buffer[..count]);
            to.write_all(&buffer[..count])?;
        }
    }

    pub fn finish(self) -> Sums {
        Sums { md5: hex::encode(self.md5.finalize()), size: self.size, checksums: self.checksums.finalize() }
    }
}

/// A checksum as S3 names its algorithm -> base64.
pub fn by_algorithm(checksum: &Checksum) -> BTreeMap<String, String> {
    let pairs = [
        ("CRC32", &checksum.checksum_crc32),
        ("CRC32C", &checksum.checksum_crc32c),
        ("CRC64NVME", &checksum.checksum_crc64nvme),
        ("SHA1", &checksum.checksum_sha1),
        ("SHA256", &checksum.checksum_sha256),
    ];
    pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect()
}
