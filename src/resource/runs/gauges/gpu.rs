//! GPUs as `nvidia-smi` tells them, and what is wrong when it does not: a driver that is gone is no machine without GPUs.
//!
//! It is asked with `--query-gpu=index,name,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw
//! --format=csv,noheader,nounits` (its own --help-query-gpu: per cent, MiB, °C, W). A value that there is not is a word in brackets.
//! Complaints stand on lines of their own, on either stream, between rows or instead of them; its exit codes are in its manual
//! page, nvidia-smi(1), under "return value".

/// What there is to know of a machine's GPUs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Gpus {
    pub all: Vec<Gpu>,
    /// NVIDIA's display controllers on the PCI bus, whether their driver works or not.
    pub cards: usize,
    /// What nvidia-smi said beside the rows, in its order.
    pub complaints: Vec<String>,
    /// How nvidia-smi ended; `None` where there is none.
    pub ended: Option<i32>,
}

/// One GPU.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Gpu {
    pub index: u32,
    pub name: String,
    /// 0.0 to 1.0.
    pub busy: Option<f64>,
    /// Used and all, in bytes.
    pub memory: Option<(u64, u64)>,
    pub celsius: Option<f64>,
    pub watts: Option<f64>,
    /// Why something is not told, in nvidia-smi's words, if the reason is another one than that the device has no such thing.
    pub reason: Option<String>,
}

/// Something is wrong with GPUs or their driver.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trouble {
    /// In nvidia-smi's words, where it has some.
    pub what: String,
    pub remedy: &'static str,
}

/// What helps against a driver that does not work.
const REBOOT: &str = "reboot the instance; if that does not help, launch a new one from a current deep learning AMI";
/// What helps against a broken device: a stopped instance is started on other hardware, as a rule (EC2 user guide, "Stop and start
/// instances"; AWS re:Post, "How do I troubleshoot Xid errors on my NVIDIA GPU-accelerated EC2 Linux instance?").
const OTHER_HARDWARE: &str =
    "save what you need and reboot; if the error comes back, stop and start the instance: that gives it other hardware";
/// Nothing is broken: it is not for this user, or not with MIG.
const HARMLESS: &str = "Insufficient Permissions";

impl Gpus {
    /// One more line of the part about GPUs.
    pub fn read(&mut self, line: &str) {
        if let Some(cards) = line.strip_prefix("cards ") {
            self.cards = cards.parse().unwrap_or(0);
        } else if let Some(code) = line.strip_prefix("nvidia-smi ended ") {
            self.ended = code.parse().ok();
        } else if let Some(gpu) = gpu(line) {
            self.all.push(gpu);
        } else if !line.trim().is_empty() && !is_row_of_nothing(line) {
            self.complaints.push(line.trim().to_owned());
        }
    }

    /// What is wrong, if anything is.
    pub fn trouble(&self) -> Option<Trouble> {
        let ill = self.all.iter().find_map(|gpu| Some((gpu.index, gpu.reason.as_deref().filter(|reason| *reason != HARMLESS)?)));
        let what = match (self.ended, &self.complaints[..], ill) {
            (None, ..) if self.cards > 0 => {
                let what = format!("no nvidia-smi, though there is an NVIDIA GPU ({} on the PCI bus)", self.cards);
                return Some(Trouble { what, remedy: "the image has no driver: launch from a deep learning AMI, which has it" });
            }
            // timeout(1): 124, or 137 when it had to kill.
            (Some(124 | 137), ..) => "nvidia-smi does not answer: the driver hangs".to_owned(),
            (_, [], Some((index, reason))) => format!("GPU {index}: {reason}"),
            (Some(code), [], None) if code != 0 => format!("nvidia-smi failed with code {code}"),
            (Some(_), [], None) if self.all.len() < self.cards => {
                format!("nvidia-smi shows {} of {} GPUs", self.all.len(), self.cards)
            }
            (_, [], None) => return None,
            (_, complaints, _) => complaints.join(" "),
        };
        let driver = ["communicate with the NVIDIA driver", "initialize NVML", "driver hangs"];
        let remedy = if driver.iter().any(|words| what.contains(words)) {
            REBOOT
        } else if what.contains("infoROM") {
            "the GPU works, but its memory of settings is damaged: if runs fail, stop and start the instance for other hardware"
        } else {
            OTHER_HARDWARE
        };
        Some(Trouble { what, remedy })
    }
}

/// A row; `None` for another line. The name may have a comma.
fn gpu(line: &str) -> Option<Gpu> {
    let cells: Vec<&str> = line.split(',').map(str::trim).collect();
    let [index, name @ .., busy, used, total, celsius, watts] = &cells[..] else { return None };
    let index = index.parse().ok().filter(|_| !name.is_empty())?;
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let mebibytes = |text: &str| text.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << 20));
    let reason = [busy, used, total, celsius, watts].into_iter().filter_map(|text| reason(text));
    Some(Gpu {
        index,
        name: name.join(", "),
        busy: number(busy).map(|percent| (percent / 100.0).min(1.0)),
        memory: mebibytes(used).zip(mebibytes(total)),
        celsius: number(celsius),
        watts: number(watts),
        // What is broken rather than what is forbidden.
        reason: reason.min_by_key(|reason| *reason == HARMLESS).map(str::to_owned),
    })
}

/// Why there is no value; that the device has no such thing is no reason to tell.
fn reason(text: &str) -> Option<&str> {
    let word = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).or((text == "ERR!").then_some("ERR!"))?;
    (!matches!(word, "N/A" | "Not Supported" | "Not Found")).then_some(word)
}

/// What stands for a GPU that could not even be asked which one it is; the line before says so in words.
fn is_row_of_nothing(line: &str) -> bool {
    line.contains(',') && line.split(',').all(|cell| reason(cell.trim()) == Some("Unknown Error"))
}

#[cfg(test)]
mod tests;
