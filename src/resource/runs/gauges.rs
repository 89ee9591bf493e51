//! What an instance is doing: GPUs by `nvidia-smi`, and what is wrong with them; processors, memory and disk by /proc and df. One
//! sample each time its detail is looked at, over the line that is held anyway.

mod gpu;
mod sample;

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;

use self::gpu::Gpu;
use self::sample::Sample;
use crate::aws::Aws;
use crate::model::show::{seconds_between, size};
use crate::model::{Block, Gauge, ItemId, Safe};
use crate::resource::line::held;

const MEMO: &str = "gauges";
/// Samples that are kept.
const KEPT: usize = 60;
/// A GPU below this share does nothing.
const IDLE: f64 = 0.05;
/// Seconds of doing nothing after which it is said.
const TELL_IDLE: f64 = 180.0;

/// What is remembered of one instance.
#[derive(Default)]
struct Past {
    /// By gauge, oldest first.
    ways: HashMap<String, VecDeque<f64>>,
    /// Processor time as it was counted last: busy and all, in ticks.
    ticks: Option<(u64, u64)>,
    /// Since when each GPU does nothing while a run is at work.
    idle: HashMap<u32, Timestamp>,
}

/// The gauges of an instance; `None` while no line to it is held: to look at an instance does not connect to it.
pub(in crate::resource) async fn gauges(aws: &Aws, instance: &ItemId) -> Option<Block> {
    let line = held(aws, instance)?;
    let sample = match line.told("looking at the gauges", include_str!("scripts/gauges.sh"), &[], None).await {
        Ok(said) => sample::read(&said),
        Err(failure) => {
            let note = Safe::line(&format!("no gauges: {}; {}", failure.what, failure.hint));
            return Some(Block::Gauges { title: "gauges".into(), gauges: Vec::new(), note });
        }
    };
    Some(aws.memo(MEMO, |past: &mut HashMap<String, Past>| {
        past.entry(instance.as_str().to_owned()).or_default().block(&sample, Timestamp::now())
    }))
}

impl Past {
    fn block(&mut self, sample: &Sample, now: Timestamp) -> Block {
        let mut gauges = Vec::new();
        if sample.gpus.all.is_empty() && sample.gpus.trouble().is_some() {
            gauges.push(self.gauge("GPU", None, "unknown"));
        }
        for gpu in &sample.gpus.all {
            gauges.push(self.gauge(&format!("GPU {}", gpu.index), gpu.busy, &words(gpu)));
            let memory = gpu.memory.map(|(used, total)| share(used, total));
            let said = match (gpu.memory, &gpu.reason) {
                (Some((used, total)), _) => format!("{} of {}", size(used), size(total)),
                (None, Some(reason)) => reason.clone(),
                (None, None) => "not told by the device".to_owned(),
            };
            gauges.push(self.gauge(&format!("GPU {} memory", gpu.index), memory, &said));
        }
        let before = std::mem::replace(&mut self.ticks, sample.ticks);
        let busy = before.zip(sample.ticks).filter(|((_, was), (_, is))| is > was);
        let busy = busy.map(|((busy, all), (busy_now, all_now))| share(busy_now.saturating_sub(busy), all_now - all));
        let cores = if sample.cores == 1 { "1 core".to_owned() } else { format!("{} cores", sample.cores) };
        gauges.push(self.gauge("CPU", busy, &cores));
        for (name, used) in [("memory", sample.memory), ("disk", sample.disk)] {
            let Some((used, total)) = used else { continue };
            gauges.push(self.gauge(name, Some(share(used, total)), &format!("{} of {}", size(used), size(total))));
        }
        Block::Gauges { title: "gauges".into(), gauges, note: Safe::line(&self.note(sample, now)) }
    }

    fn gauge(&mut self, name: &str, share: Option<f64>, said: &str) -> Gauge {
        let way = self.ways.entry(name.to_owned()).or_default();
        way.extend(share);
        way.drain(..way.len().saturating_sub(KEPT));
        Gauge { name: Safe::line(name), share, said: Safe::line(said), way: way.iter().copied().collect() }
    }

    /// What stands out: GPUs or a driver that do not work, and GPUs that are paid for and do nothing.
    fn note(&mut self, sample: &Sample, now: Timestamp) -> String {
        let trouble = sample.gpus.trouble().map(|trouble| format!("{}: {}", trouble.what, trouble.remedy));
        trouble.into_iter().chain(self.idle(sample, now)).collect::<Vec<_>>().join("; ")
    }

    fn idle(&mut self, sample: &Sample, now: Timestamp) -> Option<String> {
        let gpus = &sample.gpus.all;
        for gpu in gpus {
            if sample.runs > 0 && gpu.busy.is_some_and(|busy| busy < IDLE) {
                self.idle.entry(gpu.index).or_insert(now);
            } else {
                self.idle.remove(&gpu.index);
            }
        }
        // One that is gone does not idle.
        self.idle.retain(|index, _| gpus.iter().any(|gpu| gpu.index == *index));
        let mut idle: Vec<(u32, f64)> = self.idle.iter().map(|(index, since)| (*index, seconds_between(*since, now))).collect();
        idle.retain(|(_, seconds)| *seconds >= TELL_IDLE);
        idle.sort_by_key(|(index, _)| *index);
        let longest = idle.iter().map(|(_, seconds)| *seconds).reduce(f64::min)?;
        let which = match idle[..] {
            [_] if gpus.len() == 1 => "GPU idle".to_owned(),
            _ => format!("GPU {} idle", idle.iter().map(|(index, _)| index.to_string()).collect::<Vec<_>>().join(", ")),
        };
        Some(format!(
            "{which} for {:.0} minutes while a run is at work: does the script move model and data to the GPU, or wait for data?",
            (longest / 60.0).floor()
        ))
    }
}

/// What there is to say of a GPU: its name, temperature, power.
fn words(gpu: &Gpu) -> String {
    let mut words = vec![gpu.name.clone()];
    words.extend(gpu.celsius.map(|celsius| format!("{celsius:.0} °C")));
    words.extend(gpu.watts.map(|watts| format!("{watts:.0} W")));
    words.extend(gpu.busy.is_none().then(|| gpu.reason.clone().unwrap_or_else(|| "use not told".to_owned())));
    words.join(", ")
}

#[expect(clippy::cast_precision_loss, reason = "a share is drawn with two digits")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64).clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::gpu::Gpus;
    use super::*;

    fn sample(runs: usize, busy: &[f64]) -> Sample {
        let gpu = |(index, busy): (usize, &f64)| Gpu {
            index: u32::try_from(index).unwrap(),
            name: "NVIDIA A10G".into(),
            busy: Some(*busy),
            memory: Some((6 << 30, 24 << 30)),
            celsius: Some(61.0),
            watts: None,
            reason: None,
        };
        Sample {
            runs,
            gpus: Gpus { all: busy.iter().enumerate().map(gpu).collect(), ..Gpus::default() },
            ticks: Some((10, 100)),
            cores: 8,
            memory: Some((1, 4)),
            disk: None,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn note(block: &Block) -> String {
        if let Block::Gauges { note, .. } = block { note.to_string() } else { String::new() }
    }

    #[test]
    fn an_idle_gpu_is_told_after_three_minutes_of_a_run() {
        let mut past = Past::default();
        assert_eq!(note(&past.block(&sample(0, &[0.0]), at(0))), "");
        assert_eq!(note(&past.block(&sample(0, &[0.0]), at(600))), "", "nothing runs that would need it");
        assert_eq!(note(&past.block(&sample(1, &[0.01]), at(700))), "");
        assert_eq!(note(&past.block(&sample(1, &[0.01]), at(879))), "");
        assert!(note(&past.block(&sample(1, &[0.01]), at(880))).starts_with("GPU idle for 3 minutes"));
        assert_eq!(note(&past.block(&sample(1, &[0.5]), at(890))), "");
        assert_eq!(note(&past.block(&sample(1, &[0.0]), at(900))), "", "from the start again");
        let mut two = Past::default();
        two.block(&sample(1, &[0.9, 0.0]), at(0));
        assert!(note(&two.block(&sample(1, &[0.9, 0.0]), at(300))).starts_with("GPU 1 idle for 5 minutes"));
    }

    #[test]
    fn a_driver_that_fails_is_told_and_what_it_said_before_stays_away() {
        let mut past = Past::default();
        past.block(&sample(1, &[0.0]), at(0));
        let mut gone = sample(1, &[]);
        gone.gpus.read("Failed to initialize NVML: Driver/library version mismatch");
        gone.gpus.read("nvidia-smi ended 18");
        let block = past.block(&gone, at(300));
        assert!(
            note(&block).starts_with("Failed to initialize NVML: Driver/library version mismatch: reboot"),
            "{}",
            note(&block)
        );
        let Block::Gauges { gauges, .. } = &block else { panic!() };
        assert_eq!((gauges[0].name.as_str(), gauges[0].share, gauges[0].said.as_str()), ("GPU", None, "unknown"));
        assert_eq!(note(&past.block(&sample(1, &[0.0]), at(310))), "", "it was gone, it did not idle");
        let mut forbidden = sample(0, &[0.0]);
        forbidden.gpus.all[0] =
            Gpu { busy: None, memory: None, reason: Some("Insufficient Permissions".into()), ..forbidden.gpus.all[0].clone() };
        let Block::Gauges { gauges, .. } = past.block(&forbidden, at(320)) else { panic!() };
        assert_eq!(gauges[0].said.as_str(), "NVIDIA A10G, 61 °C, Insufficient Permissions");
        assert_eq!(gauges[1].said.as_str(), "Insufficient Permissions");
    }

    #[test]
    fn processors_are_measured_between_two_samples_and_the_way_is_bounded() {
        let mut past = Past::default();
        let cpu = |block: &Block| {
            let Block::Gauges { gauges, .. } = block else { panic!() };
            let cpu = gauges.iter().find(|gauge| gauge.name.as_str() == "CPU").unwrap();
            (cpu.share, cpu.way.len())
        };
        let mut sample = sample(0, &[]);
        assert_eq!(cpu(&past.block(&sample, at(0))), (None, 0));
        sample.ticks = Some((60, 200));
        assert_eq!(cpu(&past.block(&sample, at(1))), (Some(0.5), 1));
        for tick in 0..100 {
            sample.ticks = Some((60 + tick, 300 + tick));
            past.block(&sample, at(2));
        }
        assert_eq!(past.ways["memory"].len(), KEPT);
    }
}
