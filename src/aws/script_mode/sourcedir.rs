//! `sourcedir.tar.gz`: the script and what lies beside it. The same files give the same bytes (sorted, no times, no
//! owners), so an unchanged script is not uploaded twice.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use super::lint::Source;
use crate::model::{Failure, FailureKind};

/// What is never packed: version control, caches, and what may hold secrets.
const EXCLUDED: &[&str] =
    &[".git", ".hg", ".svn", "__pycache__", ".ipynb_checkpoints", ".aws", ".ssh", ".env", ".netrc", ".DS_Store"];

/// A packed source folder.
#[derive(Debug)]
pub struct Package {
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes in hex, cut to 32 digits.
    pub hash: String,
    /// Files inside.
    pub files: usize,
    /// Their size before compression.
    pub size: u64,
    /// Its Python files, for the lint.
    pub python: Vec<Source>,
}

/// Packs the contents of `root`, which must hold the script `entry_point`.
///
/// # Errors
/// When the folder or the script is missing, a link leads outside the folder, or a file cannot be read.
pub fn pack(root: &Path, entry_point: &str) -> Result<Package, Failure> {
    let members = members(root, entry_point)?;
    let mut size = 0;
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    let mut python = Vec::new();
    for member in &members {
        let content = append(&mut archive, member).map_err(|error| cannot_read(&member.path, &error))?;
        size += content.len() as u64;
        if Path::new(&member.name).extension().is_some_and(|extension| extension == "py") {
            python.push(Source { name: member.name.clone(), text: String::from_utf8_lossy(&content).into_owned() });
        }
    }
    let bytes = archive.into_inner().and_then(GzEncoder::finish).map_err(|error| cannot_read(root, &error))?;
    let hash = hex::encode(&Sha256::digest(&bytes)[..16]);
    Ok(Package { bytes, hash, files: members.len(), size, python })
}

/// One file: where it is and what it is called inside.
struct Member {
    path: PathBuf,
    name: String,
}

fn members(root: &Path, entry_point: &str) -> Result<Vec<Member>, Failure> {
    let real = root.canonicalize().map_err(|_| {
        Failure::new(
            FailureKind::Invalid,
            format!("source_dir: there is no folder {}", root.display()),
            "name the folder that holds the script",
        )
    })?;
    if !real.is_dir() {
        return Err(Failure::new(
            FailureKind::Invalid,
            format!("source_dir: {} is not a folder", root.display()),
            "name the folder, and the script as entry_point",
        ));
    }
    if !real.join(entry_point).is_file() || entry_point.is_empty() || entry_point.split('/').any(|part| part == "..") {
        return Err(Failure::new(
            FailureKind::Invalid,
            format!("entry_point: there is no script '{entry_point}' in {}", root.display()),
            "give the script's path relative to source_dir",
        ));
    }
    let mut found = Vec::new();
    walk(&real, &real, "", &mut vec![real.clone()], &mut found)?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Collects files; `above` are the real folders on the way here, against links that go in circles.
fn walk(root: &Path, folder: &Path, prefix: &str, above: &mut Vec<PathBuf>, found: &mut Vec<Member>) -> Result<(), Failure> {
    for entry in fs::read_dir(folder).map_err(|error| cannot_read(folder, &error))? {
        let entry = entry.map_err(|error| cannot_read(folder, &error))?;
        let Ok(name) = entry.file_name().into_string() else {
            return Err(Failure::new(
                FailureKind::Invalid,
                format!("source_dir: {} has a name that is not UTF-8", entry.path().display()),
                "rename it",
            ));
        };
        if is_excluded(&name) {
            continue;
        }
        let real = entry.path().canonicalize().map_err(|error| cannot_read(&entry.path(), &error))?;
        if !real.starts_with(root) {
            return Err(Failure::new(
                FailureKind::Invalid,
                format!("source_dir: {} is a link that leads outside the folder", entry.path().display()),
                "copy what it points to into the folder, or remove the link",
            ));
        }
        let name = format!("{prefix}{name}");
        if real.is_dir() {
            if above.contains(&real) {
                continue;
            }
            above.push(real.clone());
            walk(root, &real, &format!("{name}/"), above, found)?;
            above.pop();
        } else if real.is_file() {
            found.push(Member { path: real, name });
        }
    }
    Ok(())
}

/// Whether a file or folder of that name is never packed or uploaded.
pub(crate) fn is_excluded(name: &str) -> bool {
    EXCLUDED.contains(&name)
        || name.starts_with(".env.")
        || Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("pem"))
}

/// Appends one file and returns its content; mode 0644 as the Python SDK sets, or 0755 for what can be run.
fn append(archive: &mut tar::Builder<GzEncoder<Vec<u8>>>, member: &Member) -> io::Result<Vec<u8>> {
    let content = fs::read(&member.path)?;
    let runs = fs::metadata(&member.path)?.permissions().mode() & 0o100 != 0;
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(if runs { 0o755 } else { 0o644 });
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    archive.append_data(&mut header, &member.name, content.as_slice())?;
    Ok(content)
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    Failure::new(FailureKind::Machine, format!("cannot read {}: {error}", path.display()), "")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn project() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("train.py"), "print(1)").unwrap();
        fs::create_dir(folder.path().join("lib")).unwrap();
        fs::write(folder.path().join("lib/net.py"), "x = 1").unwrap();
        for secret in [".env", "key.pem", ".git", "__pycache__"] {
            fs::write(folder.path().join(secret), "secret").unwrap();
        }
        folder
    }

    fn names(package: &Package) -> Vec<String> {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(package.bytes.as_slice()));
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let (one, two) = (project(), project());
        let first = pack(one.path(), "train.py").unwrap();
        assert_eq!(first.bytes, pack(two.path(), "train.py").unwrap().bytes);
        assert_eq!(names(&first), ["lib/net.py", "train.py"]);
        fs::write(two.path().join("train.py"), "print(2)").unwrap();
        assert_ne!(first.hash, pack(two.path(), "train.py").unwrap().hash);
    }

    #[test]
    fn links_are_followed_only_inside() {
        let folder = project();
        symlink("lib/net.py", folder.path().join("also.py")).unwrap();
        symlink("..", folder.path().join("lib/round")).unwrap();
        assert_eq!(names(&pack(folder.path(), "train.py").unwrap()), ["also.py", "lib/net.py", "train.py"]);
        symlink("/etc/hostname", folder.path().join("out")).unwrap();
        assert!(pack(folder.path(), "train.py").unwrap_err().what.as_str().contains("leads outside"));
    }

    #[test]
    fn a_missing_script_is_told() {
        let folder = project();
        assert!(pack(folder.path(), "hpo.py").unwrap_err().what.as_str().contains("no script 'hpo.py'"));
        assert!(pack(&folder.path().join("nowhere"), "train.py").unwrap_err().what.as_str().contains("no folder"));
    }
}
