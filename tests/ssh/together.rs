//! Two copies of the same file at the same time: never a mixture, always told; and what a copy that was killed has left is
//! continued, if it is a beginning of the file.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use footplate::model::{Failure, FailureKind};

use super::files::{Manners, files, noise, silent};
use super::{says, soon};

fn manners(there: &Path) -> Manners {
    Manners { root: there.to_owned(), ..Manners::default() }
}

/// What a copy of this file is called on its way: from here, or from there.
fn part(of: &Path, into: &Path, sends: bool) -> PathBuf {
    let about = fs::metadata(of).unwrap();
    let nanoseconds = if sends { format!("{:08x}", about.mtime_nsec()) } else { String::new() };
    into.join(format!("model.{:x}-{:x}{nanoseconds}.part", about.len(), about.mtime()))
}

fn no_part_is_left(folder: &Path) {
    let left: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["model"], "{}", folder.display());
}

fn one_has_it_and_the_other_is_told<T: std::fmt::Debug>(both: [Result<T, Failure>; 2]) {
    assert!(both.iter().any(Result::is_ok), "{both:?}");
    for failure in both.into_iter().filter_map(Result::err) {
        assert_eq!(failure.kind, FailureKind::Conflict, "{failure}");
        assert!(failure.to_string().contains("another copy") && failure.to_string().contains("wait for"), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_copies_at_once_give_one_whole_file() {
    let content = noise(20_000_000);
    for _ in 0..3 {
        let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (one, other) = (files(&manners(there.path())).await, files(&manners(there.path())).await);
        let (source, target) = (tempfile::tempdir().unwrap(), here.path().join("model"));
        fs::write(source.path().join("model"), &content).unwrap();
        let from = source.path().join("model");
        let (a, b) = tokio::join!(
            soon("put", one.put(&from, "model", &silent)),
            soon("put", async {
                // In the middle of the other one.
                while fs::read_dir(there.path()).unwrap().count() == 0 {
                    tokio::task::yield_now().await;
                }
                other.put(&from, "model", &silent).await
            }),
        );
        one_has_it_and_the_other_is_told([a, b]);
        assert!(fs::read(there.path().join("model")).unwrap() == content);
        no_part_is_left(there.path());
        let (a, b) = tokio::join!(
            soon("get", one.get("model", &target, &silent)),
            soon("get", async {
                while fs::read_dir(here.path()).unwrap().count() == 0 {
                    tokio::task::yield_now().await;
                }
                other.get("model", &target, &silent).await
            }),
        );
        one_has_it_and_the_other_is_told([a, b]);
        assert!(fs::read(&target).unwrap() == content);
        no_part_is_left(here.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_copy_writes_here_is_left_to_it_until_it_ends() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = noise(1_000_000);
    fs::write(there.path().join("model"), &content).unwrap();
    fs::write(there.path().join("other"), "other").unwrap();
    let files = files(&manners(there.path())).await;
    let target = here.path().join("model");
    for state in ["this", "another"] {
        let part = match state {
            "this" => part(&there.path().join("model"), here.path(), false),
            _ => here.path().join("model.1f-65a1b2c3.part"),
        };
        fs::write(&part, &content[..500_000]).unwrap();
        let held = fs::File::open(&part).unwrap();
        held.lock().unwrap();
        let single = soon("get", files.get("model", &target, &silent)).await.unwrap_err();
        says(state, &single, FailureKind::Conflict, "another copy is writing");
        assert!(single.hint.as_str().contains("name another target"), "{single}");
        let folder = soon("fetch", files.fetch_most(&["/".to_owned()], here.path(), &silent)).await.unwrap();
        let lacking: Vec<_> = folder.failed.iter().map(|lack| (lack.place.as_str(), lack.failure.kind)).collect();
        assert_eq!(lacking, [("/model", FailureKind::Conflict)], "the rest is copied");
        assert!(here.path().join("other").is_file() && part.is_file() && !target.exists());
        // However it ends.
        drop(held);
        assert_eq!(soon("get", files.get("model", &target, &silent)).await.unwrap(), 1_000_000);
        assert!(fs::read(&target).unwrap() == content && !part.exists());
        fs::remove_file(&target).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_copy_writes_there_is_left_to_it_until_it_ends() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = noise(1_000_000);
    let source = here.path().join("model");
    fs::write(&source, &content).unwrap();
    let honest = manners(there.path());
    let files = files(&honest).await;
    let part = part(&source, there.path(), true);
    let stale = there.path().join("model.1f-65a1b2c300000000.part");
    for at in [&part, &stale] {
        let stop = AtomicBool::new(false);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // As a slow line brings it.
                let mut file = fs::File::create(at).unwrap();
                for piece in content[..500_000].chunks(1000) {
                    if stop.load(Ordering::Relaxed) || begun.elapsed() > Duration::from_secs(50) {
                        return;
                    }
                    file.write_all(piece).unwrap();
                    std::thread::park_timeout(Duration::from_millis(100));
                }
            });
            let told = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    while !at.exists() {
                        tokio::task::yield_now().await;
                    }
                    soon("send", files.send_all(vec![source.clone()], "/", &silent)).await
                })
            });
            stop.store(true, Ordering::Relaxed);
            says("growing", &told.unwrap_err(), FailureKind::Conflict, "another copy is writing /model on the instance");
        });
        assert!(at.is_file() && !there.path().join("model").exists());
    }
    // Both have ended: the one is continued, the other one removed.
    let before = honest.carried.load(Ordering::Relaxed);
    let told = soon("send", files.send_all(vec![source], "/", &silent)).await.unwrap().told();
    assert!(told.contains("1 of them continued") && told.contains("removed 1 part"), "{told}");
    assert!(honest.carried.load(Ordering::Relaxed) - before < 1_100_000);
    assert!(fs::read(there.path().join("model")).unwrap() == content);
    no_part_is_left(there.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_something_else_is_not_continued() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (content, other) = (noise(1_000_000), vec![7; 500_000]);
    let files = files(&manners(there.path())).await;
    let source = here.path().join("model");
    fs::write(&source, &content).unwrap();
    // Of the same name, size and time; one differs at its end only.
    let ends = [&content[..400_000], &other[..100_000]].concat();
    for foreign in [&other, &ends] {
        fs::write(part(&source, there.path(), true), foreign).unwrap();
        soon("put", files.put(&source, "model", &silent)).await.unwrap();
        assert!(fs::read(there.path().join("model")).unwrap() == content);
        no_part_is_left(there.path());
        let back = tempfile::tempdir().unwrap();
        fs::write(part(&there.path().join("model"), back.path(), false), foreign).unwrap();
        soon("get", files.get("model", &back.path().join("model"), &silent)).await.unwrap();
        assert!(fs::read(back.path().join("model")).unwrap() == content);
        no_part_is_left(back.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_here_in_its_middle_is_not_taken_for_copied() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = here.path().join("model");
    fs::write(&source, noise(3_000_000)).unwrap();
    let change = |_| {
        // As long as it was, and another one.
        let mut file = fs::File::options().write(true).open(&source).unwrap();
        file.write_all(b"changed").unwrap();
        file.set_modified(std::time::SystemTime::now() + Duration::from_secs(5)).unwrap();
    };
    let files = files(&manners(there.path())).await;
    let failure = soon("put", files.put(&source, "model", &change)).await.unwrap_err();
    says("changed", &failure, FailureKind::Conflict, "was changed while it was sent");
    assert_eq!(fs::read_dir(there.path()).unwrap().count(), 0, "nor is a part left that nobody would continue");
}
