//! What `nvidia-smi` said on other people's machines. Beside each case: who reported it. Values are theirs; a row has them in the
//! order of our query, with `[N/A]` for what they did not ask for. The script that runs on instances reads them from a program
//! of that name which says and does what was reported.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::*;
use crate::resource::runs::gauges::sample::{self, Sample};

/// What the script makes of a machine whose nvidia-smi prints this and ends with this code.
fn machine(says: &str, code: i32) -> Sample {
    let folder = tempfile::tempdir().unwrap();
    let tool = folder.path().join("nvidia-smi");
    fs::write(folder.path().join("says"), says).unwrap();
    fs::write(&tool, format!("#!/bin/sh\ncat '{}/says'\nexit {code}\n", folder.path().display())).unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let ran = Command::new("bash").args(["-c", include_str!("../../scripts/gauges.sh")]).env("PATH", path).output().unwrap();
    assert!(ran.status.success());
    let sample = sample::read(&String::from_utf8(ran.stdout).unwrap());
    assert!(sample.memory.is_some() && sample.ticks.is_some() && sample.disk.is_some(), "the rest is measured anyway");
    sample
}

fn trouble(says: &str, code: i32) -> Trouble {
    machine(says, code).gpus.trouble().unwrap()
}

#[test]
fn several_gpus_are_told_one_a_row() {
    // github.com/wookayin/gpustat/issues/5: eight GeForce GTX TITAN X; the first three and the last.
    let says = "0, GeForce GTX TITAN X, 0, 802, 12206, 25, [N/A]\n1, GeForce GTX TITAN X, 86, 10032, 12206, 54, [N/A]\n\
                2, GeForce GTX TITAN X, 85, 6442, 12206, 55, [N/A]\n7, GeForce GTX TITAN X, 82, 6442, 12206, 55, [N/A]\n";
    let gpus = machine(says, 0).gpus;
    assert_eq!(gpus.trouble(), None);
    assert_eq!(
        gpus.all.iter().map(|gpu| (gpu.index, gpu.busy)).collect::<Vec<_>>(),
        [(0, Some(0.0)), (1, Some(0.86)), (2, Some(0.85)), (7, Some(0.82))]
    );
    assert_eq!(gpus.all[1].memory, Some((10032 << 20, 12206 << 20)));
}

#[test]
fn what_a_device_does_not_tell_is_no_trouble() {
    for says in [
        // github.com/enkore/i3pystatus/pull/776: before and after a change of drivers in 2020.
        "0, [N/A], 0, 0, 2004, 44, [Not Supported]\n",
        "0, [N/A], 0, 0, 2004, 44, [N/A]\n",
        // github.com/HSF/prmon/pull/318: a share of a GPU, by MIG.
        "0, NVIDIA H100L-2-24C, [N/A], 0, 24576, [N/A], [N/A]\n",
        // github.com/unslothai/unsloth/pull/10703 and github.com/mostlygeek/llama-swap/issues/782: memory that processor and GPU share.
        "0, NVIDIA GB10, 0, [N/A], [N/A], 41, 11.00\n",
        // github.com/Stability-AI/StableSwarmUI/issues/388: MIG, seen by another user than root.
        "0, NVIDIA A100-SXM4-80GB, [N/A], [Insufficient Permissions], [Insufficient Permissions], 47, [N/A]\n",
    ] {
        let gpus = machine(says, 0).gpus;
        assert_eq!((gpus.trouble(), gpus.all.len()), (None, 1), "{says}");
    }
    let mig = machine("0, NVIDIA A100-SXM4-80GB, [N/A], [Insufficient Permissions], [Insufficient Permissions], 47, [N/A]\n", 0);
    assert_eq!(mig.gpus.all[0].reason.as_deref(), Some("Insufficient Permissions"));
    assert_eq!((mig.gpus.all[0].busy, mig.gpus.all[0].memory, mig.gpus.all[0].celsius), (None, None, Some(47.0)));
}

#[test]
fn a_driver_that_is_gone_is_told_with_what_helps() {
    for (says, code) in [
        // github.com/utkuozdemir/nvidia_gpu_exporter/issues/65: a machine just booted.
        (
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.\n\n",
            9,
        ),
        // github.com/anderskm/gputil/issues/55: the packages were renewed under the driver that runs.
        ("Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.161\n", 18),
        // github.com/utkuozdemir/nvidia_gpu_exporter/issues/110
        ("Failed to initialize NVML: Unknown Error\n", 255),
        // github.com/kubernetes-sigs/dra-driver-nvidia-gpu/issues/1008
        ("Failed to initialize NVML: No supported GPUs were found\nUnable to determine the number of GPUs\n", 255),
    ] {
        let sample = machine(says, code);
        assert_eq!(sample.gpus.all, []);
        let said = says.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(sample.gpus.trouble(), Some(Trouble { what: said, remedy: REBOOT }));
    }
}

#[test]
fn a_lost_gpu_is_told_with_what_helps() {
    // github.com/AlexeyAB/darknet/issues/86, whose terminal broke the line.
    let lost =
        "Unable to determine the device handle for GPU 0000:03:00.0: GPU is lost.  Reboot the system to recover this GPU\n";
    assert_eq!(trouble(lost, 15), Trouble { what: lost.trim().to_owned(), remedy: OTHER_HARDWARE });
    // What nvidia-smi says after "GPU has fallen off the bus" (Xid 79) when it was the only one; 6: "a query to find an object was
    // unsuccessful", nvidia-smi(1).
    assert_eq!(trouble("No devices were found\n", 6).what, "No devices were found");
    // One of four: the words are those of github.com/NVIDIA/open-gpu-kernel-modules/issues/387 (RTX 2080 Ti); the row of nothing
    // stands where its own would be.
    let nothing = ["[Unknown Error]"; 7].join(", ");
    let row = |index| format!("{index}, NVIDIA GeForce RTX 2080 Ti, 97, 9000, 11264, 70, 240.00\n");
    let handle = "Unable to determine the device handle for GPU 0000:0B:00.0: Unknown Error";
    let sample = machine(&format!("{}{handle}\n{nothing}\n{}{}", row(0), row(2), row(3)), 255);
    assert_eq!(sample.gpus.all.iter().map(|gpu| gpu.index).collect::<Vec<_>>(), [0, 2, 3]);
    assert_eq!(sample.gpus.trouble().unwrap().what, handle);
}

#[test]
fn values_in_error_are_no_idle_gpu() {
    // github.com/Quake4/MindMiner/issues/627 and github.com/enkore/i3pystatus/pull/850: one value of a GPU that works.
    let one = machine("0, GeForce RTX 2080 Ti, 100, 37, 11264, 56, [Unknown Error]\n", 0);
    assert_eq!((one.gpus.all[0].busy, one.gpus.all[0].watts), (Some(1.0), None));
    assert_eq!(one.gpus.trouble().unwrap().what, "GPU 0: Unknown Error");
    // The words of nvidia-smi for NVML's errors "reset required" and "GPU is lost", beside GPUs that work.
    for word in ["GPU requires reset", "GPU is lost", "Unknown Error"] {
        let says =
            format!("0, NVIDIA H100, 74, 80620, 81559, 74, 512.10\n1, NVIDIA H100, [{word}], 0, 81559, [{word}], [{word}]\n");
        let gpus = machine(&says, 0).gpus;
        assert_eq!((gpus.all[0].busy, gpus.all[1].busy), (Some(0.74), None));
        assert_eq!(gpus.trouble(), Some(Trouble { what: format!("GPU 1: {word}"), remedy: OTHER_HARDWARE }));
    }
}

#[test]
fn a_warning_is_told_and_the_rows_are_read() {
    // 14: "infoROM is corrupted", nvidia-smi(1); the same line at the end of a table in many reports.
    let says = "0, Tesla V100-SXM2-16GB, 0, 0, 16160, 40, 41.00\nWARNING: infoROM is corrupted at gpu 0000:00:04.0\n";
    let sample = machine(says, 14);
    assert_eq!(sample.gpus.all.len(), 1);
    let trouble = sample.gpus.trouble().unwrap();
    assert!(trouble.what.ends_with("0000:00:04.0") && trouble.remedy.starts_with("the GPU works"), "{trouble:?}");
}

#[test]
fn the_bus_knows_of_gpus_that_no_driver_shows() {
    let read = |lines: &str| {
        let mut gpus = Gpus::default();
        lines.lines().for_each(|line| gpus.read(line));
        gpus
    };
    assert_eq!(read("cards 0").trouble(), None, "no GPU, no nvidia-smi, no trouble");
    assert!(read("cards 1").trouble().unwrap().remedy.contains("deep learning AMI"));
    let one = "0, Tesla T4, 3, 1, 15360, 30, 9.1\nnvidia-smi ended 0";
    assert_eq!(read(&format!("cards 1\n{one}")).trouble(), None);
    assert_eq!(read(&format!("cards 4\n{one}")).trouble().unwrap().what, "nvidia-smi shows 1 of 4 GPUs");
    assert_eq!(read(&format!("cards 0\n{one}")).trouble(), None, "not all have a bus");
    assert_eq!(read("cards 1\nnvidia-smi ended 124").trouble().unwrap().remedy, REBOOT);
    assert_eq!(read("cards 1\nnvidia-smi ended 3").trouble().unwrap().what, "nvidia-smi failed with code 3");
}

#[test]
fn odd_rows_are_read_or_told() {
    assert_eq!(gpu("0, Odd, Name, 18, 1, 2, 3, 4").unwrap().name, "Odd, Name");
    assert_eq!(gpu("0,Tesla T4,18,1,2,3,4").unwrap().busy, Some(0.18));
    let odd = gpu("3, T4, nan, -1, 99999999999999999999, inf, -2").unwrap();
    assert_eq!((odd.busy, odd.memory, odd.celsius, odd.watts), (None, None, None, None));
    assert_eq!(gpu("0, 18, 1, 2, 3, 4"), None);
    // Its own words for a field that an old driver does not know.
    let old = "Field \"utilization.gpus\" is not a valid field to query.";
    assert_eq!(trouble(&format!("{old}\n"), 2).what, old);
}
