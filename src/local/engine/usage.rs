//! What the processes of a host use of this machine, measured from `/proc`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::disk;
use super::host::now_millis;
use super::keeper::{self, Stat};
use crate::local::metrics::Metrics;

/// The first reading comes early, so that a short job has one.
const FIRST: Duration = Duration::from_millis(250);
/// At first as often as CloudWatch can tell apart: local runs are short. AWS measures each minute.
const OFTEN: Duration = Duration::from_secs(1);
/// Later less: an endpoint may run for months.
const SELDOM: Duration = Duration::from_secs(5);
/// When it becomes seldom.
const SETTLED: Duration = Duration::from_mins(10);
/// Clock ticks in a second: 100 on every Linux that Rust runs on (`USER_HZ`, time(7)).
const TICKS: u64 = 100;
/// Counting a folder may take one part in so many of the time.
const COUNT_SHARE: u32 = 50;
/// How long `nvidia-smi` may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the measurements of a host go.
#[derive(Clone)]
pub struct Gauge {
    pub metrics: Arc<Metrics>,
    /// E.g. `/aws/sagemaker/TrainingJobs`.
    pub namespace: &'static str,
    /// E.g. `Host` and `job/algo-1`.
    pub dimensions: Vec<(&'static str, String)>,
    /// What counts as the host's disk.
    pub folder: PathBuf,
    /// The size of its volume, in bytes.
    pub volume: u64,
}

/// One look at a host.
#[derive(Clone, Copy)]
struct Look {
    at: Instant,
    tree: Tree,
    /// Bytes in its folder.
    disk: u64,
    /// When the folder may be counted again: one with very many files is not counted each second.
    recount: Instant,
}

impl Gauge {
    /// Measures the processes below a keeper until it is dropped. What cannot be measured or written is left out: no job
    /// fails for it.
    pub async fn measure(self, keeper: u32) {
        let begin = Instant::now();
        let graphics = find_nvidia_smi();
        let mut before = Look { at: begin, tree: Tree::default(), disk: 0, recount: begin };
        let mut pause = FIRST;
        loop {
            sleep(pause).await;
            pause = if begin.elapsed() < SETTLED { OFTEN } else { SELDOM };
            let gpu = match &graphics {
                Some(program) => read_graphics(program).await,
                None => None,
            };
            let gauge = self.clone();
            let looked = tokio::task::spawn_blocking(move || {
                let look = gauge.look(keeper, &before);
                gauge.note(&before, &look, gpu);
                look
            });
            let Ok(look) = looked.await else { return };
            before = look;
        }
    }

    fn look(&self, keeper: u32, before: &Look) -> Look {
        let at = Instant::now();
        let tree = tree(keeper);
        if at < before.recount {
            return Look { at, tree, ..*before };
        }
        let counting = Instant::now();
        let disk = disk::used(&self.folder);
        Look { at, tree, disk, recount: at + counting.elapsed() * COUNT_SHARE }
    }

    fn note(&self, before: &Look, now: &Look, gpu: Option<(f64, f64)>) {
        let elapsed = now.at.duration_since(before.at).as_secs_f64().max(1e-3);
        let cpu = now.tree.cpu.saturating_sub(before.tree.cpu).as_secs_f64() / elapsed;
        let mut values =
            vec![("CPUUtilization", "Percent", cpu * 100.0), ("DiskUtilization", "Percent", share(now.disk, self.volume))];
        // The whole machine plays the instance, whatever its type has on AWS.
        if let Some(whole) = machine_memory() {
            values.push(("MemoryUtilization", "Percent", share(now.tree.memory, whole)));
        }
        if let Some((busy, memory)) = gpu {
            values.extend([("GPUUtilization", "Percent", busy), ("GPUMemoryUtilization", "Percent", memory)]);
        }
        let dimensions: Vec<(&str, &str)> = self.dimensions.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let _ = self.metrics.measure(self.namespace, &dimensions, now_millis(), &values);
    }
}

/// Processor time so far and memory now, of all processes below a keeper.
#[derive(Clone, Copy, Debug, Default)]
struct Tree {
    /// Ended children count in their parents, so nothing of it is lost when a process ends.
    cpu: Duration,
    /// Resident bytes. Pages that processes share count in each of them.
    memory: u64,
}

fn tree(keeper: u32) -> Tree {
    let own = keeper::stat_of(keeper);
    let spent = |stat: &Stat| stat.own_ticks + stat.children_ticks;
    let below = keeper::stats_below(keeper);
    // Of the keeper itself only what it has reaped: its own work is ours and not the script's.
    let total = own.map_or(0, |own| own.children_ticks) + below.iter().map(spent).sum::<u64>();
    let page = page_size();
    let memory = below.iter().map(|stat| stat.pages * page).sum();
    Tree { cpu: Duration::from_millis(total * 1000 / TICKS), memory }
}

/// Bytes of a page: the entry `AT_PAGESZ` of what the kernel gives each program (getauxval(3)).
fn page_size() -> u64 {
    const AT_PAGESZ: usize = 6;
    const WORD: usize = size_of::<usize>();
    let vector = std::fs::read("/proc/self/auxv").unwrap_or_default();
    let words: Vec<usize> =
        vector.chunks_exact(WORD).map(|word| usize::from_ne_bytes(word.try_into().unwrap_or_default())).collect();
    let found = words.chunks_exact(2).find(|pair| pair[0] == AT_PAGESZ);
    found.and_then(|pair| u64::try_from(pair[1]).ok()).unwrap_or(4096)
}

/// In percent, 100 at most: a volume is only a number here, and a script may write more.
fn share(part: u64, whole: u64) -> f64 {
    (as_float(part) / as_float(whole.max(1)) * 100.0).min(100.0)
}

#[expect(clippy::cast_precision_loss, reason = "a measurement")]
fn as_float(number: u64) -> f64 {
    number as f64
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn machine_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// Where there is no such program there is no GPU to speak of.
fn find_nvidia_smi() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join("nvidia-smi")).find(|path| path.is_file())
}

/// Use of the GPUs and of their memory, each in percent summed over all GPUs, as AWS defines them. They are the machine's: what
/// other programs do on them counts, too.
async fn read_graphics(program: &Path) -> Option<(f64, f64)> {
    let mut command = Command::new(program);
    command.args(["--query-gpu=utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits"]);
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    sum_graphics(&String::from_utf8_lossy(&output.stdout))
}

/// A line for each GPU: `37, 1024, 4096`. A number that the driver does not know (`[N/A]`) counts as none.
fn sum_graphics(text: &str) -> Option<(f64, f64)> {
    let gpus = text.lines().filter_map(|line| {
        let cells: Vec<f64> = line.split(',').map(|cell| cell.trim().parse().unwrap_or(0.0)).collect();
        let [busy, used, total] = cells[..] else { return None };
        Some((busy, if total > 0.0 { used / total * 100.0 } else { 0.0 }))
    });
    gpus.reduce(|sum, gpu| (sum.0 + gpu.0, sum.1 + gpu.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_and_its_ended_children_are_counted() {
        // The shell burns no time itself: its child does, and ends before the shell does.
        let burn = "while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let script = format!("i=0; ({burn}); echo done; read line");
        let mut child = Command::new("sh")
            .args(["-c", &format!("sh -c '{script}'; true")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh runs");
        let mut line = String::new();
        let mut out = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
        std::io::BufRead::read_line(&mut out, &mut line).expect("reads");
        let tree = tree(child.id());
        drop(child.stdin.take());
        child.wait().expect("ends");
        assert!(tree.cpu >= Duration::from_millis(20), "{tree:?}");
        assert!(tree.memory > 100_000, "{tree:?}");
    }

    #[test]
    fn shares_and_graphics() {
        assert!((share(1, 4) - 25.0).abs() < 1e-9 && (share(9, 4) - 100.0).abs() < 1e-9);
        assert!(machine_memory().is_some_and(|bytes| bytes > 1 << 20));
        assert_eq!(sum_graphics("50, 1024, 4096\n100, 2048, 4096\n"), Some((150.0, 75.0)));
        assert_eq!(sum_graphics("[N/A], [N/A], [N/A]\n"), Some((0.0, 0.0)));
        assert_eq!(sum_graphics("No devices were found\n"), None);
    }
}
