//! footplate's AWS layer against the real local region: launched, followed, stopped, cloned, uploaded, as a user does.

#[path = "common/region.rs"]
mod region;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use footplate::aws::tail::follow;
use footplate::model::{Block, Cell, ItemId, LogLine, Phase, TailNote, Verb};
use region::{Place, bare, found, order_of, set};
use tokio::sync::{mpsc, watch};

/// Follows a job's log to its end, as the cockpit does: lines, notes, hosts.
async fn followed(place: &Place, job: &str) -> (Vec<LogLine>, Vec<TailNote>, Vec<String>) {
    let source = found("training-jobs").log(&ItemId(job.to_owned())).unwrap();
    let (ended, watch) = watch::channel(false);
    let (out, mut batches) = mpsc::channel(4);
    let follower = tokio::spawn(follow(Arc::clone(&place.aws), source, Vec::new(), watch, out));
    let read = async {
        let (mut lines, mut notes, mut hosts) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(batch) = batches.recv().await {
            lines.extend(batch.lines);
            notes.extend(batch.note);
            if !batch.hosts.is_empty() {
                hosts = batch.hosts.iter().map(ToString::to_string).collect();
            }
        }
        (lines, notes, hosts)
    };
    let told = async {
        place.ended(job).await;
        ended.send(true).unwrap();
    };
    let (read, ()) = tokio::time::timeout(Duration::from_mins(3), async { tokio::join!(read, told) }).await.expect("an end");
    follower.await.unwrap();
    read
}

#[tokio::test(flavor = "multi_thread")]
async fn the_follower_tells_every_line_of_two_hosts_once_and_in_order() {
    let script = "import os, sys\n\
        host = os.environ['SM_CURRENT_HOST']\n\
        for n in range(20000):\n\
        \x20   print(f'{host} line {n}')\n\
        \x20   if n % 1000 == 0:\n\
        \x20       sys.stdout.write(''.join(f'{host} bar {p}%\\r' for p in range(0, 101, 25)) + '\\n')\n";
    let place = Place::new(script).await;
    let job = place.launch_with(&[("instance_count", "2")]).await;
    let (lines, notes, hosts) = followed(&place, &job).await;
    assert_eq!(place.ended(&job).await, "Completed");
    let mut by_host: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for line in lines.iter().filter(|line| !line.live) {
        if let Some((host, number)) = line.text.as_str().split_once(" line ") {
            assert_eq!(hosts[usize::from(line.host)], host, "a line under another host's name");
            by_host.entry(line.host).or_default().push(number.parse().unwrap());
        }
    }
    assert_eq!(by_host.len(), 2, "{hosts:?}");
    for (host, numbers) in by_host {
        assert_eq!(numbers, (0..20_000).collect::<Vec<_>>(), "host {host}");
    }
    let bars = lines.iter().filter(|line| line.text.as_str().contains("bar 100%")).count();
    assert!(bars >= 40, "each of 2 × 20 bars shows its last state: {bars}");
    assert!(lines.iter().all(|line| !line.text.as_str().contains('\r')));
    assert_eq!(notes.last(), Some(&TailNote::Ended), "{notes:?}");
    assert_eq!(notes.iter().filter(|note| **note == TailNote::Ended).count(), 1);
    assert!(notes.contains(&TailNote::Following) && !notes.iter().any(|note| matches!(note, TailNote::Gap(_))), "{notes:?}");
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_stops_and_its_copy_runs_with_another_value() {
    let script = "import argparse, time\n\
        p = argparse.ArgumentParser()\n\
        p.add_argument('--lr', type=float)\n\
        p.add_argument('--note')\n\
        p.add_argument('--wait', type=float, default=0)\n\
        a = p.parse_args()\n\
        print(f'lr={a.lr} note={a.note} loss={a.lr}', flush=True)\n\
        time.sleep(a.wait)\n";
    let place = Place::new(script).await;
    let job = place.launch_with(&[("hyperparameters", "lr = 0.1\nnote = dog breeds\nwait = 600")]).await;
    place.until(&job, |_, secondary| secondary == "Training").await;
    let listed = place.list("training-jobs", None).await;
    assert_eq!((listed[0].id.as_str(), listed[0].state.phase), (job.as_str(), Phase::Active));
    place.run(&bare("training-jobs", Verb::Stop, &[&job])).await.unwrap();
    assert_eq!(place.ended(&job).await, "Stopped");

    let form = place.form("training-jobs", Verb::Clone, Some(&job)).await;
    assert_eq!(form.value("hyperparameters"), "lr = 0.1\nnote = dog breeds\nwait = 600");
    let twin = place.launch(set(form, &[("hyperparameters", "lr = 0.25\nnote = dog breeds\nwait = 0")])).await;
    let (lines, ..) = followed(&place, &twin).await;
    assert_eq!(place.ended(&twin).await, "Completed");
    assert!(lines.iter().any(|line| line.text.as_str() == "lr=0.25 note=dog breeds loss=0.25"), "{lines:?}");
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_why_and_curves_come_from_the_service() {
    let script = "import time\n\
        for n in range(3):\n\
        \x20   print(f'loss={3 - n}.5', flush=True)\n\
        \x20   time.sleep(1.1)\n\
        raise ValueError('no such breed: poodle')\n";
    let place = Place::new(script).await;
    let job = place.launch_with(&[]).await;
    assert_eq!(place.ended(&job).await, "Failed");
    let detail = found("training-jobs").detail(&place.aws, &ItemId(job.clone())).await.unwrap();
    assert_eq!(detail.state.phase, Phase::Failed);
    let Block::Text { text, .. } = &detail.blocks[0] else { panic!("the reason comes first: {:?}", detail.blocks) };
    assert!(text.as_str().contains("no such breed: poodle"), "{text}");
    let curves = detail.blocks.iter().find_map(|block| match block {
        Block::Curves { series, .. } => Some(series),
        _ => None,
    });
    let values: Vec<f64> = curves.unwrap()[0].points.iter().map(|point| point.value).collect();
    assert_eq!(values, [3.5, 2.5, 1.5]);
    let first = detail.blocks.iter().find_map(|block| match block {
        Block::Facts { facts, .. } => Some(facts),
        _ => None,
    });
    let names: Vec<&str> = first.unwrap().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["cost", "price", "trained", "billable", "instances"]);
    assert_eq!(first.unwrap()[4].1, Cell::Text("1 × ml.m5.2xlarge".into()));
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_lists_once_and_describes_what_has_ended_once() {
    let place = Place::new("print('loss=1')\n").await;
    for _ in 0..2 {
        let job = place.launch_with(&[]).await;
        place.ended(&job).await;
    }
    place.wire.forget();
    for _ in 0..6 {
        assert_eq!(place.list("training-jobs", None).await.len(), 2);
    }
    assert_eq!((place.wire.count("ListTrainingJobs"), place.wire.count("DescribeTrainingJob")), (6, 2));
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_files_go_up_once_come_down_the_same_and_go_away() {
    let place = Place::new("").await;
    let folder = place.recipe.root.join("many");
    for n in 0..500 {
        let path = folder.join(format!("class {}/ä {n}.bin", n % 7));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, vec![u8::try_from(n % 251).unwrap(); 100 + n]).unwrap();
    }
    // Large enough to go in parts.
    std::fs::write(folder.join("big.bin"), vec![7; 17 << 20]).unwrap();
    let target = "s3://my-own-bucket/in/";
    let form = set(place.form("data", Verb::Upload, None).await, &[("source", "many"), ("target", target)]);
    place.run(&order_of(form.clone(), &[])).await.unwrap();
    assert_eq!(place.wire.count("PUT /my-own-bucket/in/"), 500 + 3);
    place.wire.forget();
    place.run(&order_of(form, &[])).await.unwrap();
    assert_eq!(place.wire.changes(), [] as [String; 0], "unchanged files are not sent again");

    let listed = place.list("data", Some(target)).await;
    assert_eq!((listed.len(), listed.iter().filter(|item| item.container).count()), (8, 7));
    let form = set(place.form("data", Verb::Download, Some(target)).await, &[("folder", "back")]);
    place.run(&order_of(form, &[target])).await.unwrap();
    let back = place.recipe.root.join("back");
    let found_big = std::fs::read_dir(&back).unwrap().any(|entry| entry.unwrap().file_name() == "big.bin");
    let root = if found_big { back } else { back.join("in") };
    for n in 0..500 {
        let name = format!("class {}/ä {n}.bin", n % 7);
        assert_eq!(std::fs::read(root.join(&name)).unwrap(), std::fs::read(folder.join(&name)).unwrap(), "{name}");
    }
    assert_eq!(std::fs::read(root.join("big.bin")).unwrap(), std::fs::read(folder.join("big.bin")).unwrap());

    place.run(&bare("data", Verb::Delete, &["s3://my-own-bucket/in/class 0/"])).await.unwrap();
    assert_eq!(place.list("data", Some(target)).await.len(), 7);
    place.run(&bare("data", Verb::Delete, &[target])).await.unwrap();
    assert!(place.list("data", Some(target)).await.is_empty());
    place.region.close().await;
}
