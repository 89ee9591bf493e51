//! Paths on the machine as users write them, by the rules of `rsync`: `folder` is the folder, `folder/` what is in it.

use crate::model::{Failure, FailureKind};

/// A path as users write it, for the server: `~` and nothing at all are the home folder, which is `.` there.
///
/// # Errors
/// `Invalid` for somebody else's home.
pub(super) fn there(typed: &str) -> Result<String, Failure> {
    let path = match typed.strip_prefix('~') {
        Some("") => "",
        Some(rest) => rest.strip_prefix('/').map(|rest| rest.trim_start_matches('/')).ok_or_else(|| {
            Failure::new(
                FailureKind::Invalid,
                format!("{typed}: only your own home folder can be named, by ~"),
                "name the folder by its whole path, or a file that begins with ~ as ./~…",
            )
        })?,
        None => typed,
    };
    let bare = path.trim_end_matches('/');
    Ok(match (bare, path) {
        ("", "") => ".",
        ("", _) => "/",
        (bare, _) => bare,
    }
    .to_owned())
}

/// Whether what is in it is meant, and not the folder under its name.
pub(super) fn is_inside(typed: &str) -> bool {
    typed.ends_with('/') || matches!(typed.rsplit('/').next(), Some("" | "." | ".." | "~") | None)
}

/// The last part of a path.
pub(super) fn name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// The folder that a path is in.
pub(super) fn above(path: &str) -> &str {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some(("", _)) => "/",
        Some((above, _)) => above,
        None => ".",
    }
}

/// A name in a folder.
pub(super) fn join(folder: &str, name: &str) -> String {
    match folder {
        "." => name.to_owned(),
        _ => format!("{}/{name}", folder.trim_end_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_what_users_mean_by_it() {
        for (typed, path) in
            [("", "."), ("~", "."), ("~/", "."), ("~/a//b/", "a//b"), ("a/", "a"), ("/", "/"), ("/x/", "/x"), ("./~a", "./~a")]
        {
            assert_eq!(there(typed).unwrap(), path, "{typed}");
        }
        assert_eq!(there("~root/x").unwrap_err().kind, FailureKind::Invalid);
        for inside in ["", "~", "~/", ".", "..", "a/", "a/.", "a/..", "/"] {
            assert!(is_inside(inside), "{inside}");
        }
        assert!(["a", "/a", "~/a", "a/b"].iter().all(|path| !is_inside(path)));
        assert_eq!((name("a/b"), name("a"), name("/a/b/")), ("b", "a", "b"));
        assert_eq!((above("a/b"), above("a"), above("/a"), above("/a/b")), ("a", ".", "/", "/a"));
        assert_eq!((join(".", "a"), join("/", "a"), join("a/b", "c")), ("a".into(), "/a".into(), "a/b/c".into()));
    }
}
