//! What an upload would take: the files of a folder, the members of a .zip, or one file.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use zip::ZipArchive;

use super::piece::{Archive, Content, Piece};
use crate::aws::script_mode::sourcedir::is_excluded;
use crate::model::{Failure, FailureKind, Safe};

/// A .zip member is read whole; larger ones have to be unpacked first.
const LARGEST_MEMBER: u64 = 512 << 20;

/// The files that an upload takes, and what it leaves out.
#[derive(Debug, Default)]
pub struct Plan {
    pub files: Vec<Piece>,
    pub bytes: u64,
    /// What is skipped and why.
    pub notices: Vec<Safe>,
    /// The source is one file, not a folder of them.
    pub single: bool,
}

/// Looks at a folder, a .zip or a file.
///
/// # Errors
/// When it is missing or cannot be read, or a .zip member would leave the target.
pub fn plan(source: &Path) -> Result<Plan, Failure> {
    let real = source.canonicalize().map_err(|_| {
        Failure::new(
            FailureKind::Invalid,
            format!("there is no file or folder {}", source.display()),
            "check the path; it is relative to the project",
        )
    })?;
    let mut plan = Plan::default();
    if real.is_dir() {
        walk(&real, &real, "", &mut vec![real.clone()], &mut plan)?;
    } else if source.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip")) {
        members(&real, &mut plan)?;
    } else if real.is_file() {
        let name = source.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let size = fs::metadata(&real).map_err(|error| unreadable(&real, &error))?.len();
        plan.files.push(Piece { name, size, content: Content::File(real) });
        plan.single = true;
    } else {
        return Err(Failure::new(FailureKind::Invalid, format!("{} is neither file nor folder", source.display()), ""));
    }
    plan.files.sort_by(|a, b| a.name.cmp(&b.name));
    plan.bytes = plan.files.iter().map(|file| file.size).sum();
    Ok(plan)
}

fn walk(root: &Path, folder: &Path, prefix: &str, above: &mut Vec<PathBuf>, plan: &mut Plan) -> Result<(), Failure> {
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
        let entry = entry.map_err(|error| unreadable(folder, &error))?;
        let path = entry.path();
        let Ok(name) = entry.file_name().into_string() else {
            skip(plan, &path, "its name is not UTF-8");
            continue;
        };
        if is_excluded(&name) {
            continue;
        }
        let name = format!("{prefix}{name}");
        let Ok(real) = path.canonicalize() else {
            skip(plan, &path, "a link to nothing");
            continue;
        };
        if !real.starts_with(root) {
            skip(plan, &path, "a link that leads outside the folder");
        } else if real.is_dir() {
            if above.contains(&real) {
                skip(plan, &path, "a link that goes in a circle");
                continue;
            }
            above.push(real.clone());
            walk(root, &real, &format!("{name}/"), above, plan)?;
            above.pop();
        } else if real.is_file() {
            let size = fs::metadata(&real).map_err(|error| unreadable(&real, &error))?.len();
            plan.files.push(Piece { name, size, content: Content::File(real) });
        } else {
            skip(plan, &path, "neither file nor folder");
        }
    }
    Ok(())
}

fn members(path: &Path, plan: &mut Plan) -> Result<(), Failure> {
    let broken = |error: zip::result::ZipError| {
        Failure::new(FailureKind::Invalid, format!("{} cannot be read as .zip: {error}", path.display()), "pack it again")
    };
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let archive: Archive = Arc::new(Mutex::new(ZipArchive::new(file).map_err(broken)?));
    let mut inside = archive.lock().unwrap_or_else(PoisonError::into_inner);
    for index in 0..inside.len() {
        let member = inside.by_index_raw(index).map_err(broken)?;
        if member.is_dir() {
            continue;
        }
        let Some(name) = member.enclosed_name().and_then(|name| name.to_str().map(ToOwned::to_owned)) else {
            return Err(Failure::new(
                FailureKind::Invalid,
                format!("{}: the member '{}' would leave the target", path.display(), member.name()),
                "do not trust this archive; unpack it with care and upload the folder",
            ));
        };
        if name.starts_with("__MACOSX/") || name.split('/').any(is_excluded) {
            continue;
        }
        if member.unix_mode().is_some_and(|mode| mode & 0o170_000 == 0o120_000) {
            skip(plan, Path::new(&name), "a link inside the archive");
            continue;
        }
        if member.size() > LARGEST_MEMBER {
            return Err(Failure::new(
                FailureKind::Invalid,
                format!("{}: the member '{name}' has {} MB", path.display(), member.size() >> 20),
                "unpack the archive and upload the folder: members over 512 MB are not read from a .zip",
            ));
        }
        plan.files.push(Piece { name, size: member.size(), content: Content::Member(Arc::clone(&archive), index) });
    }
    drop(inside);
    strip_common_folder(&mut plan.files);
    Ok(())
}

/// A .zip of one folder is that folder: its name is not repeated below the target.
fn strip_common_folder(files: &mut [Piece]) {
    let Some(top) = files.first().and_then(|file| file.name.split_once('/')).map(|(top, _)| format!("{top}/")) else { return };
    if files.iter().all(|file| file.name.starts_with(&top)) {
        for file in files {
            file.name.drain(..top.len());
        }
    }
}

fn skip(plan: &mut Plan, path: &Path, why: &str) {
    plan.notices.push(Safe::line(&format!("skipped {}: {why}", path.display())));
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(FailureKind::Machine, format!("cannot read {}: {error}", path.display()), "")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use zip::write::SimpleFileOptions;

    use super::*;

    fn names(plan: &Plan) -> Vec<&str> {
        plan.files.iter().map(|file| file.name.as_str()).collect()
    }

    fn read(piece: &Piece, start: u64) -> Vec<u8> {
        piece.read(piece.look().unwrap(), start, 9, false).unwrap().unwrap().bytes
    }

    fn zipped(path: &Path, members: &[(&str, &str)]) {
        let mut writer = zip::ZipWriter::new(File::create(path).unwrap());
        for (name, text) in members {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
    }

    #[test]
    fn a_folder_gives_its_files_and_says_what_it_skips() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("0")).unwrap();
        fs::write(folder.path().join("0/a.png"), "aa").unwrap();
        symlink("/etc/hostname", folder.path().join("out")).unwrap();
        nix::unistd::mkfifo(&folder.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let plan = plan(folder.path()).unwrap();
        assert_eq!((names(&plan), plan.bytes), (vec!["0/a.png"], 2));
        assert_eq!(plan.notices.len(), 2);
        assert_eq!(read(&plan.files[0], 1), b"a");
    }

    #[test]
    fn a_zip_of_one_folder_is_that_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("digits.zip");
        zipped(&path, &[("digits/0/a.png", "aa"), ("digits/1/b.png", "b"), ("__MACOSX/x", "")]);
        let plan = plan(&path).unwrap();
        assert_eq!((names(&plan), plan.bytes), (vec!["0/a.png", "1/b.png"], 3));
        assert_eq!(read(&plan.files[0], 0), b"aa");
    }

    #[test]
    fn a_member_that_leaves_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evil.zip");
        zipped(&path, &[("../../evil", "x")]);
        assert!(plan(&path).unwrap_err().what.as_str().contains("would leave the target"));
        assert!(plan(&folder.path().join("nothing")).unwrap_err().what.as_str().contains("there is no file"));
    }
}
