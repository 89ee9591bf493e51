use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::rewrite::{Wrong, rewrite};
use super::*;

fn code(files: &[(&str, &str)]) -> Code {
    let files = files.iter().map(|(name, text)| ((*name).to_owned(), File { bytes: text.as_bytes().to_vec(), mode: 0o644 }));
    Code { files: files.collect(), hash: "h".to_owned() }
}

type Member<'a> = (tar::EntryType, &'a str, &'a str);

/// An archive written raw, as a hostile one would be: names and links are not looked at.
fn archive(members: &[Member<'_>]) -> Vec<u8> {
    let mut out = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (kind, name, text) in members {
        let link = kind.is_symlink() || kind.is_hard_link();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(if link { 0 } else { text.len() as u64 });
        header.set_mode(0o4755);
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        if link {
            header.as_gnu_mut().unwrap().linkname[..text.len()].copy_from_slice(text.as_bytes());
        }
        header.set_cksum();
        out.append(&header, if link { &[][..] } else { text.as_bytes() }).unwrap();
    }
    out.into_inner().unwrap().finish().unwrap()
}

fn members(bytes: &[u8]) -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(GzDecoder::new(bytes));
    let read = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
        assert_eq!(entry.header().mode().unwrap() & 0o7000, 0, "set-user-id is gone");
        (entry.path().unwrap().display().to_string(), text)
    });
    read.collect()
}

const FILE: tar::EntryType = tar::EntryType::Regular;
const LINK: tar::EntryType = tar::EntryType::Symlink;
const HARD: tar::EntryType = tar::EntryType::Link;

#[test]
fn code_is_replaced_and_all_else_stays() {
    let old = archive(&[
        (tar::EntryType::Directory, "/", ""),
        (FILE, "./model.pth", "weights"),
        (FILE, "code/old.py", "old"),
        (FILE, "codec.bin", "not code"),
        (LINK, "sub/latest", "../model.pth"),
    ]);
    let (new, same) = rewrite(old.as_slice(), &code(&[("inference.py", "new"), ("lib/a.py", "a")]), Vec::new()).unwrap();
    let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let wanted = [
        pair("model.pth", "weights"),
        pair("codec.bin", "not code"),
        pair("sub/latest", ""),
        pair("code/inference.py", "new"),
        pair("code/lib/a.py", "a"),
    ];
    assert!(!same);
    assert_eq!(members(&new), wanted);
    let (_, same) = rewrite(new.as_slice(), &code(&[("inference.py", "new"), ("lib/a.py", "a")]), Vec::new()).unwrap();
    assert!(same, "the very code is there already");
    for other in [vec![("inference.py", "new")], vec![("inference.py", "new"), ("lib/a.py", "b")]] {
        assert!(!rewrite(new.as_slice(), &code(&other), Vec::new()).unwrap().1, "{other:?}");
    }
}

#[test]
fn no_member_leaves_the_archive() {
    let bad: [&[Member<'_>]; 8] = [
        &[(FILE, "../evil", "x")],
        &[(FILE, "a/../../evil", "x")],
        &[(FILE, "/etc/evil", "x")],
        &[(LINK, "a", "/etc/passwd")],
        &[(LINK, "a", "../../x")],
        &[(LINK, "a/b", "../../x")],
        &[(HARD, "a", "../x")],
        &[(FILE, "code/../../x", "x")],
    ];
    for members in bad {
        let said = rewrite(archive(members).as_slice(), &code(&[]), Vec::new()).unwrap_err();
        assert!(matches!(said, Wrong::Leaves(_)), "{members:?}: {said:?}");
    }
    let odd: [&[Member<'_>]; 2] = [&[(tar::EntryType::Char, "tty", "")], &[(HARD, "a", "code/inference.py")]];
    for members in odd {
        let said = rewrite(archive(members).as_slice(), &code(&[]), Vec::new()).unwrap_err();
        assert!(matches!(said, Wrong::Odd(_)), "{members:?}: {said:?}");
    }
}

#[test]
fn a_cut_or_foreign_archive_is_told() {
    let whole = archive(&[(FILE, "model.pth", &"weights".repeat(1000))]);
    let mut flipped = whole.clone();
    let end = flipped.len() - 5;
    flipped[end] ^= 0xff;
    for bad in [&whole[..whole.len() / 2], &whole[..whole.len() - 4], b"PK\x03\x04 a zip", &flipped] {
        let said = rewrite(bad, &code(&[]), Vec::new()).unwrap_err();
        assert!(matches!(said, Wrong::Archive(_)), "{said:?}");
    }
}

#[test]
fn long_names_go_through() {
    let name = format!("{}/model.pth", "deep/".repeat(60));
    let mut out = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    out.append_data(&mut header, &name, &b"x"[..]).unwrap();
    let mut gz = out.into_inner().unwrap();
    gz.flush().unwrap();
    let (new, _) = rewrite(gz.finish().unwrap().as_slice(), &code(&[]), Vec::new()).unwrap();
    assert_eq!(members(&new)[0].0, name.replace("//", "/"));
}
