//! The folders and files of `/opt/ml` (developer guide, "How Amazon SageMaker Provides Training Information"), under a
//! private root for each host.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{Broken, Work, host_name};

/// The network interface of all hosts: they share this machine and meet on loopback.
pub const INTERFACE: &str = "lo";

/// The root of one host; stands for the container's file system.
#[derive(Clone, Debug)]
pub struct HostRoot {
    /// From 1.
    pub number: u32,
    root: PathBuf,
}

impl HostRoot {
    /// Lays out the folders and writes the configuration files of one host below the job's root.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn create(job_root: &Path, work: &Work, number: u32) -> Result<Self, Broken> {
        let host = Self { number, root: job_root.join(host_name(number)) };
        host.write(work).map_err(|error| Broken::region("laying out /opt/ml", &error))?;
        Ok(host)
    }

    /// The host's name, e.g. `algo-1`.
    #[must_use]
    pub fn name(&self) -> String {
        host_name(self.number)
    }

    /// Everything of the host, the scratch folders too: what the disk limit counts.
    #[must_use]
    pub fn all(&self) -> &Path {
        &self.root
    }

    /// What the container has as `/opt/ml`.
    #[must_use]
    pub fn ml(&self) -> PathBuf {
        self.root.join("ml")
    }

    #[must_use]
    pub fn input(&self) -> PathBuf {
        self.ml().join("input")
    }

    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.input().join("config")
    }

    #[must_use]
    pub fn channel(&self, name: &str) -> PathBuf {
        self.input().join("data").join(name)
    }

    #[must_use]
    pub fn code(&self) -> PathBuf {
        self.ml().join("code")
    }

    #[must_use]
    pub fn model(&self) -> PathBuf {
        self.ml().join("model")
    }

    #[must_use]
    pub fn output(&self) -> PathBuf {
        self.ml().join("output")
    }

    #[must_use]
    pub fn output_data(&self) -> PathBuf {
        self.output().join("data")
    }

    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.ml().join("checkpoints")
    }

    /// The user's home: nothing of the real one is in reach by `~`.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.root.join("tmp")
    }

    fn write(&self, work: &Work) -> std::io::Result<()> {
        let folders = [
            self.config(),
            self.input().join("data"),
            self.code(),
            self.model(),
            self.output_data(),
            self.output().join("intermediate"),
            self.checkpoints(),
            self.home(),
            self.scratch(),
        ];
        for folder in folders {
            std::fs::create_dir_all(folder)?;
        }
        for channel in &work.channels {
            std::fs::create_dir_all(self.channel(&channel.name))?;
        }
        let mut files = vec![
            ("hyperparameters.json", json!(work.hyperparameters)),
            ("inputdataconfig.json", input_data_config(work)),
            ("resourceconfig.json", resource_config(work, self.number)),
        ];
        if let Some(checkpoints) = &work.checkpoints {
            let local = checkpoints.folder(self);
            std::fs::create_dir_all(&local)?;
            files.push(("checkpointconfig.json", json!({"S3Uri": checkpoints.place.to_string(), "LocalPath": local})));
        }
        for (name, content) in files {
            std::fs::write(self.config().join(name), content.to_string())?;
        }
        Ok(())
    }
}

/// `inputdataconfig.json`; `FastFile` is shown to the script as File (it sees the same files).
#[must_use]
pub fn input_data_config(work: &Work) -> Value {
    let channels: Map<String, Value> = work
        .channels
        .iter()
        .map(|channel| {
            let distribution = if channel.sharded { "ShardedByS3Key" } else { "FullyReplicated" };
            let mut entry = json!({
                "TrainingInputMode": "File",
                "S3DistributionType": distribution,
                "RecordWrapperType": channel.record_wrapper,
            });
            if let Some(content_type) = &channel.content_type {
                entry["ContentType"] = json!(content_type);
            }
            (channel.name.clone(), entry)
        })
        .collect();
    Value::Object(channels)
}

/// `resourceconfig.json` of one host.
#[must_use]
pub fn resource_config(work: &Work, number: u32) -> Value {
    let hosts = work.host_names();
    json!({
        "current_host": host_name(number),
        "current_instance_type": work.instance_type,
        "current_group_name": "homogeneousCluster",
        "hosts": hosts,
        "instance_groups": [{
            "instance_group_name": "homogeneousCluster",
            "instance_type": work.instance_type,
            "hosts": hosts,
        }],
        "network_interface_name": INTERFACE,
    })
}
