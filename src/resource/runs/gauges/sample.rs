//! One sample as the instance tells it: /proc/stat and /proc/meminfo (proc(5)), `df -P` (POSIX), and GPUs (see [`super::gpu`]).

use super::gpu::Gpus;

/// What was measured at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sample {
    /// Runs at work.
    pub runs: usize,
    pub gpus: Gpus,
    /// Processor time, busy and all, in ticks since the boot.
    pub ticks: Option<(u64, u64)>,
    pub cores: u32,
    /// Used and all, in bytes.
    pub memory: Option<(u64, u64)>,
    /// Of the home folder's file system.
    pub disk: Option<(u64, u64)>,
}

/// Reads what the script says; what is missing or odd is not known.
pub(super) fn read(said: &str) -> Sample {
    let mut sample = Sample::default();
    let (mut part, mut total, mut available) = ("", None, None);
    for line in said.lines() {
        match (part, line) {
            (_, "runs" | "cpu" | "memory" | "disk" | "gpu") => part = line,
            ("runs", _) => sample.runs += 1,
            ("cpu", _) if line.starts_with("cpu") => sample.ticks = ticks(line),
            ("cpu", _) => sample.cores = line.trim().parse().unwrap_or(0),
            ("memory", _) => {
                let kilobytes =
                    line.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok()).map(|number| number * 1024);
                if line.starts_with("MemTotal") { total = kilobytes } else { available = kilobytes }
            }
            ("disk", _) => {
                // Filesystem, 1024-blocks, used, available, …; a name may have spaces, so from the end.
                let words: Vec<&str> = line.split_whitespace().rev().collect();
                let number = |at: usize| words.get(at).and_then(|text| text.parse::<u64>().ok()).map(|blocks| blocks * 1024);
                // What is kept for root counts as used, as df's own per cent has it.
                sample.disk = number(3).zip(number(2)).map(|(used, free)| (used, used + free));
            }
            ("gpu", _) => sample.gpus.read(line),
            _ => {}
        }
    }
    sample.memory = total.zip(available).map(|(total, available): (u64, u64)| (total.saturating_sub(available), total));
    sample
}

/// `cpu user nice system idle iowait irq softirq steal …`; the two guest times are in user and nice already.
fn ticks(line: &str) -> Option<(u64, u64)> {
    let numbers: Vec<u64> = line.split_whitespace().skip(1).take(8).filter_map(|text| text.parse().ok()).collect();
    let all = numbers.iter().sum::<u64>();
    let idle = numbers.get(3)? + numbers.get(4).unwrap_or(&0);
    Some((all.saturating_sub(idle), all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_read() {
        let said = "runs\n/home/ubuntu/footplate/runs/a/\ncpu\ncpu  100 5 20 800 50 1 4 20 7 0\n8\nmemory\nMemTotal:       32000000 kB\nMemAvailable:   24000000 kB\n\
                    disk\n/dev/root      51833000  20000000  31816616      39% /\ngpu\n0, NVIDIA A10G, 97, 15360, 23028, 61, 219.88\n1, Tesla T4, [N/A], 0, 15360, 33, [Not Supported]\n";
        let sample = read(said);
        assert_eq!((sample.runs, sample.ticks, sample.cores), (1, Some((150, 1000)), 8));
        assert_eq!(sample.memory, Some((8_000_000 * 1024, 32_000_000 * 1024)));
        assert_eq!(sample.disk, Some((20_000_000 * 1024, 51_816_616 * 1024)));
        let [a10, t4] = &sample.gpus.all[..] else { panic!("{:?}", sample.gpus) };
        assert_eq!((a10.name.as_str(), a10.busy, a10.celsius, a10.watts), ("NVIDIA A10G", Some(0.97), Some(61.0), Some(219.88)));
        assert_eq!(a10.memory, Some((15360 << 20, 23028 << 20)));
        assert_eq!((t4.index, t4.busy, t4.watts), (1, None, None));
    }

    #[test]
    fn what_is_no_sample_is_unknown() {
        for said in ["", "cpu\nnonsense\ndisk\n\nmemory\n"] {
            let sample = read(said);
            assert!(
                sample.gpus.all.is_empty() && sample.memory.is_none() && sample.disk.is_none() && sample.ticks.is_none(),
                "{said}"
            );
        }
    }
}
