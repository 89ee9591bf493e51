//! The layers, the ownership of outside crates, and the size of files, read from the source itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What each room may use of the crate. A room not listed here is a failure: it has to be given a place.
const LAYERS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("term", &[]),
    ("local", &[]),
    ("aws", &["model"]),
    ("config", &["model"]),
    ("journal", &["model"]),
    ("ssh", &["model"]),
    ("resource", &["aws", "model", "ssh"]),
    ("app", &["config", "model", "term"]),
    ("view", &["app", "config", "model", "term"]),
    ("runtime", &["app", "aws", "config", "model", "resource", "ssh", "view"]),
    ("cli", &["app", "aws", "config", "journal", "local", "model", "resource", "runtime", "ssh", "view"]),
    ("lib", &[]),
    ("main", &["cli", "local"]),
];

/// Outside crates and the rooms that may name them.
const OWNERS: &[(&str, &[&str])] = &[
    ("ratatui", &["view", "runtime"]),
    ("crossterm", &["runtime"]),
    ("clap", &["cli", "main"]),
    ("rusqlite", &["journal", "local"]),
    ("hyper", &["local", "cli"]),
    ("s3s", &["local"]),
    ("russh", &["ssh", "local"]),
    ("russh_sftp", &["ssh", "local"]),
    ("tokio_tungstenite", &["ssh"]),
    ("alacritty_terminal", &["term"]),
    ("portable_pty", &[]),
    ("rustix", &["local"]),
    ("toml", &["config"]),
    ("tui_textarea", &["app"]),
];

/// Most lines of a file, its tests not counted.
const LONGEST: usize = 500;
/// Least doc-comment lines in a thousand, over the whole source.
const DOCS: usize = 80;

struct Source {
    path: PathBuf,
    room: String,
    /// Without `#[cfg(test)]` modules.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut out = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the source is readable") {
            let path = entry.expect("the source is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).expect("the source is text");
                let code = text.split("\n#[cfg(test)]").next().unwrap_or_default().to_owned();
                let inside = path.strip_prefix(&root).expect("below the root");
                let first = inside.components().next().expect("a name").as_os_str().to_string_lossy();
                let room = first.trim_end_matches(".rs").to_owned();
                out.push(Source { path, room, code });
            }
        }
    }
    assert!(out.len() > 30, "the source was found");
    out
}

/// The code lines, comments left out.
fn lines(code: &str) -> impl Iterator<Item = &str> {
    code.lines().map(str::trim).filter(|line| !line.starts_with("//"))
}

#[test]
fn an_import_only_points_down() {
    let layers: BTreeMap<_, _> = LAYERS.iter().copied().collect();
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(allowed) = layers.get(source.room.as_str()) else {
            wrong.push(format!("{}: `{}` has no place in the layers", source.path.display(), source.room));
            continue;
        };
        for line in lines(&source.code) {
            let prefixes = if source.room == "main" { ["crate::", "footplate::"] } else { ["crate::", "crate::"] };
            for part in prefixes.iter().flat_map(|prefix| line.split(prefix).skip(1)) {
                let room: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if layers.contains_key(room.as_str()) && room != source.room && !allowed.contains(&room.as_str()) {
                    wrong.push(format!("{}: `{}` must not use `{room}`: {line}", source.path.display(), source.room));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn outside_crates_have_owners() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (name, owners) in OWNERS {
            let named = lines(&source.code).find(|line| {
                line.starts_with(&format!("use {name}::"))
                    || line.starts_with(&format!("pub use {name}::"))
                    || line
                        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
                        .any(|word| word.starts_with(&format!("{name}::")))
            });
            if let Some(line) = named
                && !owners.contains(&source.room.as_str())
            {
                wrong.push(format!("{}: only {owners:?} may use {name}: {line}", source.path.display()));
            }
        }
        let sdk = lines(&source.code).find(|line| line.contains("aws_sdk_"));
        if let Some(line) = sdk
            && !["aws", "resource"].contains(&source.room.as_str())
        {
            wrong.push(format!("{}: only aws and resource name the SDK: {line}", source.path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_core_neither_waits_nor_reads_the_clock() {
    let mut wrong = Vec::new();
    for source in sources().into_iter().filter(|source| ["app", "view", "model"].contains(&source.room.as_str())) {
        for word in ["Timestamp::now", "Instant::now", "SystemTime", "tokio::", "std::fs", "std::thread", ".await", "getrandom"] {
            if let Some(line) = lines(&source.code).find(|line| line.contains(word)) {
                wrong.push(format!("{}: {word}: {line}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_are_short_and_documented() {
    let (mut all, mut docs) = (0, 0);
    let mut wrong = Vec::new();
    for source in sources() {
        let count = source.code.lines().count();
        all += count;
        docs += source.code.lines().filter(|line| line.trim_start().starts_with("///") || line.starts_with("//!")).count();
        if count > LONGEST {
            wrong.push(format!("{}: {count} lines; does it hold two concepts?", source.path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(docs * 1000 / all >= DOCS, "{docs} doc lines in {all}");
}
