//! Copies of folders that meet what is odd: names that cannot be copied, parts of copies that broke off long ago, things of
//! another kind in the way.

use std::fs;
use std::path::Path;

use footplate::model::FailureKind;

use super::files::{Manners, data, files, noise, silent};
use super::{says, soon};

fn manners(there: &Path) -> Manners {
    Manners { root: there.to_owned(), ..Manners::default() }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_a_control_character_is_left_out_and_the_rest_is_copied() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for root in [there.path().join("data"), here.path().join("mine")] {
        fs::create_dir_all(root.join("deep\u{7}")).unwrap();
        fs::write(root.join("deep\u{7}/below"), "1").unwrap();
        fs::write(root.join("Icon\r"), "1").unwrap();
        fs::write(root.join("a\x1b[2Jb"), "1").unwrap();
        fs::write(root.join("fine"), "fine").unwrap();
    }
    let files = files(&manners(there.path())).await;
    for sends in [false, true] {
        let (copied, place) = if sends {
            let from = vec![here.path().join("mine")];
            (soon("send", files.send_all(from, "to/", &silent)).await, there.path().join("to/mine"))
        } else {
            let to = here.path().join("back/");
            (soon("fetch", files.fetch_all(&["data".into()], &to, &silent)).await, to.join("data"))
        };
        let failure = copied.unwrap_err();
        says("odd names", &failure, FailureKind::Service, "left out 3 for their names");
        for part in ["Icon␍ ", "a␛[2Jb ", "deep␇ ", "has a control character", "all else is there: copied 1 file (4 B)", "rename"]
        {
            assert!(failure.to_string().contains(part), "{part}: {failure}");
        }
        assert!(!failure.to_string().contains("honest"), "nobody is accused: {failure}");
        assert_eq!(names(&place), ["fine"]);
    }
    // Also where a run's results are fetched.
    let failure = soon("get_folder", files.get_folder("data", &here.path().join("results"), &silent)).await.unwrap_err();
    says("results", &failure, FailureKind::Service, "left out 3 for their names");
    assert_eq!(names(&here.path().join("results")), ["fine"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_names_that_are_not_utf8_are_not_taken_for_one() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for odd in [b"caf\xe9".as_slice(), b"caf\xea"] {
        let odd: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(odd);
        fs::write(there.path().join(odd), "1").unwrap();
    }
    fs::write(there.path().join("fine"), "fine").unwrap();
    let files = files(&manners(there.path())).await;
    let failure = soon("fetch", files.fetch_all(&["/".into()], here.path(), &silent)).await.unwrap_err();
    says("odd", &failure, FailureKind::Service, "left out 2 for their names");
    assert!(failure.to_string().contains("is not UTF-8") && here.path().join("fine").is_file(), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_as_long_as_they_may_be_are_copied_and_longer_ones_left_out() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (latin, wide) = ("x".repeat(255), "漢".repeat(85));
    let folder = here.path().join("data");
    fs::create_dir(&folder).unwrap();
    for name in [&latin, &wide] {
        fs::write(folder.join(name), noise(100_000)).unwrap();
    }
    let honest = manners(there.path());
    soon("send", files(&honest).await.send_all(vec![folder.clone()], "", &silent)).await.unwrap();
    assert_eq!(names(&there.path().join("data")), [latin.as_str(), &wide]);
    // A system with longer names than this one has.
    let longer: &'static str = "y".repeat(300).leak();
    let longer = Manners { names: vec![longer], ..honest };
    let to = here.path().join("back");
    let failure = soon("fetch", files(&longer).await.fetch_all(&["data".into()], &to, &silent)).await.unwrap_err();
    says("long", &failure, FailureKind::Service, "left out 1 for its name: data/yyy");
    assert!(failure.to_string().contains("is too long") && failure.to_string().contains("copied 2 files"), "{failure}");
    assert_eq!(names(&to.join("data")), [latin.as_str(), &wide]);
    for name in [&latin, &wide] {
        assert!(fs::read(to.join("data").join(name)).unwrap() == noise(100_000));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_too_long_here_is_left_out() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Each name is fine; all of them together are more than the 4096 bytes of a path. There they are made step by step.
    let name = "z".repeat(250);
    let script = format!(
        "cd '{}' && for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do mkdir {name} && cd {name} || exit; done; echo deep > deepest",
        there.path().display()
    );
    fs::write(there.path().join("fine"), "fine").unwrap();
    assert!(std::process::Command::new("sh").args(["-c", &script]).status().unwrap().success());
    let to = here.path().join("a-longer-place-than-there-".repeat(8)).join("b".repeat(100));
    let fetched = soon("fetch", files(&manners(there.path())).await.fetch_all(&["/".into()], &to, &silent)).await;
    let failure = fetched.unwrap_err();
    assert!(failure.to_string().contains("all else is there: copied 1 file"), "{failure}");
    assert_eq!(fs::read_to_string(to.join("fine")).unwrap(), "fine");
}

/// What a copy that broke off would leave of this file, in another state than it has now.
fn stale(of: &Path) {
    let name = of.file_name().unwrap().to_str().unwrap();
    fs::write(of.with_file_name(format!("{name}.1f-65a1b2c3.part")), "half").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_what_has_changed_go_and_other_parts_are_told() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for sends in [true, false] {
        let files = files(&manners(there.path())).await;
        let source = if sends { here.path() } else { there.path() };
        let folder = data(source);
        let place = if sends { there.path().join("to/data") } else { here.path().join("back/data") };
        let copy = async || {
            if sends {
                soon("send", files.send_all(vec![folder.clone()], "to/", &silent)).await.unwrap()
            } else {
                soon("fetch", files.fetch_all(&["data".into()], &here.path().join("back/"), &silent)).await.unwrap()
            }
        };
        copy().await;
        // One of a file that is complete, one of a file that is to come, one of a file that is gone, and what only looks so.
        stale(&place.join("deep/er/model"));
        fs::write(folder.join("new"), "new").unwrap();
        stale(&place.join("new"));
        stale(&place.join("deep/gone"));
        for other in ["notes.part", "deep/music.1-2.part.txt", "a.b-c-d.part", "x.1G-2.part"] {
            fs::write(place.join(other), "not ours").unwrap();
        }
        let again = copy().await.told();
        assert!(again.contains("removed 2 parts of what has changed since"), "{again}");
        assert!(
            again.contains("left there, to be continued or removed: ") && again.contains("deep/gone.1f-65a1b2c3.part"),
            "{again}"
        );
        assert_eq!(names(&place), ["a.b-c-d.part", "deep", "empty", "new", "notes.part", "run.sh", "x.1G-2.part"]);
        assert_eq!(names(&place.join("deep")), ["er", "gone.1f-65a1b2c3.part", "music.1-2.part.txt"]);
        assert_eq!(names(&place.join("deep/er")), ["model"]);
        // What is called so where it comes from is a file as any other.
        fs::write(folder.join("empty.1-2.part"), "a file").unwrap();
        copy().await;
        copy().await;
        assert_eq!(fs::read_to_string(place.join("empty.1-2.part")).unwrap(), "a file");
        // A single file looks only for its own.
        stale(&place.join("run.sh"));
        let single = if sends {
            soon("send", files.send_all(vec![folder.join("run.sh")], "to/data", &silent)).await.unwrap()
        } else {
            soon("fetch", files.fetch_all(&["data/run.sh".into()], &place, &silent)).await.unwrap()
        };
        assert!(single.told().contains("removed 1 part of") && !single.told().contains("gone"), "{}", single.told());
        assert!(!names(&place).contains(&"run.sh.1f-65a1b2c3.part".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_is_named_with_what_it_is_in_the_way_of() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    data(there.path());
    data(here.path());
    fs::write(here.path().join("report.txt"), "mine").unwrap();
    fs::write(there.path().join("report.txt"), "theirs").unwrap();
    let files = files(&manners(there.path())).await;
    let fetch = async |from: &[&str], to: &str| {
        let from: Vec<String> = from.iter().map(|name| (*name).to_owned()).collect();
        soon("fetch", files.fetch_all(&from, &here.path().join(to), &silent)).await
    };
    let send = async |from: &[&str], to: &str| {
        let from = from.iter().map(|name| here.path().join(name)).collect();
        soon("send", files.send_all(from, to, &silent)).await
    };
    for to in ["report.txt", "report.txt/"] {
        let failure = fetch(&["data"], to).await.unwrap_err();
        says(to, &failure, FailureKind::Invalid, "report.txt here is a file, and data on the instance is a folder");
        assert!(failure.hint.as_str().contains("name a folder"), "{failure}");
        let failure = send(&["data"], to).await.unwrap_err();
        says(to, &failure, FailureKind::Invalid, "report.txt on the instance is a file, and ");
        assert!(
            failure.what.as_str().contains("data here is a folder") && failure.hint.as_str().contains("name a folder"),
            "{failure}"
        );
    }
    let several = fetch(&["data/empty", "data/run.sh"], "report.txt").await.unwrap_err();
    says("several", &several, FailureKind::Invalid, "report.txt here is a file, and it cannot take in several");
    let several = send(&["data/empty", "data/run.sh"], "report.txt").await.unwrap_err();
    says("several", &several, FailureKind::Invalid, "report.txt on the instance is a file, and it cannot take in several");
    assert_eq!(fs::read_to_string(here.path().join("report.txt")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(there.path().join("report.txt")).unwrap(), "theirs");

    // Deeper down it holds up nothing else: a file where a folder is to be, and a folder where a file is to be.
    for sends in [false, true] {
        let place = if sends { there.path().join("to/data") } else { here.path().join("to/data") };
        fs::create_dir_all(place.join("empty")).unwrap();
        fs::write(place.join("deep"), "in the way").unwrap();
        let failure = if sends { send(&["data"], "to/").await } else { fetch(&["data"], "to/").await }.unwrap_err();
        let (side, other) = if sends { ("on the instance", "here") } else { ("here", "on the instance") };
        for part in [
            format!("deep {side} is a file, and a folder {other}"),
            format!("empty {side} is a folder, and a file {other}"),
            "all else is there: copied 1 file".to_owned(),
        ] {
            assert!(failure.to_string().contains(&part), "{part}: {failure}");
        }
        assert!(place.join("run.sh").is_file() && place.join("empty").is_dir());
        assert_eq!(fs::read_to_string(place.join("deep")).unwrap(), "in the way");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_here_stays_what_it_is() {
    use std::os::unix::fs::FileTypeExt;
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    data(there.path());
    fs::create_dir_all(here.path().join("to/data")).unwrap();
    let pipes = [here.path().join("pipe"), here.path().join("to/data/run.sh")];
    for pipe in &pipes {
        nix::unistd::mkfifo(pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    std::os::unix::fs::symlink("pipe", here.path().join("link")).unwrap();
    let files = files(&manners(there.path())).await;
    let fetch =
        async |from: &str, to: &str| soon("fetch", files.fetch_all(&[from.to_owned()], &here.path().join(to), &silent)).await;
    for to in ["pipe", "link"] {
        let failure = fetch("data/run.sh", to).await.unwrap_err();
        says(to, &failure, FailureKind::Invalid, "here is neither a file nor a folder");
        assert!(failure.hint.as_str().contains("name another target"), "{failure}");
    }
    let failure = fetch("data", "to/").await.unwrap_err();
    for part in ["run.sh here is neither a file nor a folder", "all else is there: copied 2 files"] {
        assert!(failure.to_string().contains(part), "{part}: {failure}");
    }
    assert!(here.path().join("link").is_symlink());
    for pipe in &pipes {
        assert!(fs::metadata(pipe).unwrap().file_type().is_fifo(), "{}", pipe.display());
    }
}
