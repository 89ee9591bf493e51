//! What S3 calls the content of an object: its MD5 when it was sent in one piece, else the MD5 of its parts' MD5s and their
//! number. Not so for objects encrypted with KMS.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use md5::{Digest, Md5};

/// Objects from this size on go in parts.
pub(super) const IN_PARTS: u64 = 16 << 20;
/// Bytes of a part, unless the file would have too many of them.
const PART: u64 = 8 << 20;
/// S3's limit.
const MOST: u64 = 10_000;

/// The length of the parts that an object of this size is sent in.
pub(super) fn part(size: u64) -> u64 {
    PART.max(size.div_ceil(MOST - 1))
}

/// The `ETag` of an object in parts.
pub(super) fn joint(digests: impl Iterator<Item = impl AsRef<[u8]>>, count: usize) -> String {
    let mut all = Md5::new();
    digests.for_each(|digest| all.update(digest));
    format!("{}-{count}", hex::encode(all.finalize()))
}

/// Whether a file of that size has this `ETag`, if it was sent by footplate or in one piece. Blocks.
///
/// # Errors
/// When it cannot be read.
pub(in crate::aws) fn is(path: &Path, size: u64, etag: &str) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let in_parts = etag.contains('-');
    let length = if in_parts { part(size) } else { u64::MAX };
    let mut digests = Vec::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let (mut digest, mut read) = (Md5::new(), 0);
        let mut piece = Read::by_ref(&mut file).take(length);
        loop {
            let count = piece.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            digest.update(&buffer[..count]);
            read += count;
        }
        if read == 0 && !digests.is_empty() {
            break;
        }
        digests.push(digest.finalize());
        if !in_parts {
            break;
        }
    }
    let count = digests.len();
    Ok(if in_parts { joint(digests.into_iter(), count) == etag } else { hex::encode(digests[0]) == etag })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_tag_in_one_piece_and_in_parts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let length = usize::try_from(PART).unwrap();
        std::fs::write(&path, vec![7; length + 3]).unwrap();
        let size = PART + 3;
        assert!(is(&path, size, &hex::encode(Md5::digest(vec![7; length + 3]))).unwrap());
        let two = joint([Md5::digest(vec![7; length]), Md5::digest([7; 3])].into_iter(), 2);
        assert!(is(&path, size, &two).unwrap());
        assert!(!is(&path, size, &two.replace("-2", "-3")).unwrap());
        std::fs::write(&path, "").unwrap();
        assert!(is(&path, 0, "d41d8cd98f00b204e9800998ecf8427e").unwrap(), "nothing at all");
        assert_eq!([part(1), part(1 << 40)], [PART, (1_u64 << 40).div_ceil(MOST - 1)]);
    }
}
