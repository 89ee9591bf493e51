//! Distributed training as the SDK asks for it: hyperparameters `sagemaker_*_enabled`, which the framework's toolkit reads
//! (sagemaker-training-toolkit `runner.py`, `torch_distributed.py`).

use std::path::Path;
use std::process::{Command, Stdio};

use super::layout::HostRoot;
use super::{Broken, Work, python};

/// The launchers that the local region starts a script with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Launcher {
    /// The script itself, once on each host; it may meet the others at `MASTER_ADDR` and `MASTER_PORT`.
    Plain,
    /// `torchrun`.
    Torchrun,
}

/// Keys for what runs here. assumed: `pytorchddp`, which AWS starts by its own library's launcher, may be started by torchrun,
/// which gives a script the same variables.
const TORCHRUN: [&str; 2] = ["sagemaker_torch_distributed_enabled", "sagemaker_pytorch_ddp_enabled"];
/// Keys for what does not, and why.
const NOT_OFFERED: [(&str, &str); 4] = [
    ("sagemaker_mpi_enabled", "MPI is not part of the local region"),
    (
        "sagemaker_distributed_dataparallel_enabled",
        "SageMaker's own data parallel library (SMDDP) exists in AWS's containers only, and needs their GPUs",
    ),
    ("sagemaker_pytorch_xla_multi_worker_enabled", "PyTorch/XLA is not part of the local region"),
    ("sagemaker_parameter_server_enabled", "parameter servers are not part of the local region"),
];

/// Which launcher a job asks for.
///
/// # Errors
/// One that does not run here; the reason says what to use.
pub fn launcher(work: &Work) -> Result<Launcher, Broken> {
    let enabled = |key: &str| {
        let value = work.hyperparameters.get(key).map(|text| python::plain(&python::decode(text)));
        value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
    };
    if let Some((key, why)) = NOT_OFFERED.into_iter().find(|(key, _)| enabled(key)) {
        return Err(Broken::client(format_args!(
            "{key} is set, but {why}. Use torch_distributed (sagemaker_torch_distributed_enabled), or no distribution: each host then gets MASTER_ADDR and MASTER_PORT to meet the others."
        )));
    }
    Ok(if TORCHRUN.into_iter().any(enabled) { Launcher::Torchrun } else { Launcher::Plain })
}

/// Whether the interpreter has what the job's launcher needs. Blocks while the interpreter looks.
///
/// # Errors
/// When it has not; the reason names the interpreter and the remedy.
pub fn check(work: &Work, host: &HostRoot, python: &Path) -> Result<(), Broken> {
    if launcher(work)? == Launcher::Plain {
        return Ok(());
    }
    // Looked for, not loaded: that takes seconds. The script's own folder counts, as when it runs.
    let mut look = Command::new(python);
    look.args(["-c", "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)"]);
    look.current_dir(host.code()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if look.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(Broken::client(format_args!(
        "the job is to be started by torchrun, and {} has no torch. Install PyTorch for it, choose another interpreter with [local] python, or leave the distribution out.",
        python.display()
    )))
}

/// The start of the command line, up to the script's name. One process a host, as the toolkit starts without GPUs.
#[must_use]
pub fn torchrun(work: &Work, host: &HostRoot, python: &Path, master_port: u16) -> Vec<String> {
    let rank = work.host_names().iter().position(|name| *name == host.name()).unwrap_or_default();
    let python = python.display().to_string();
    // The module that the program `torchrun` starts: it is there even when that program is not on the path.
    let words = [python.as_str(), "-m", "torch.distributed.run", "--nnodes", &work.hosts.to_string(), "--nproc_per_node", "1"]
        .map(str::to_owned);
    // The toolkit leaves these out for one host; here all jobs share one machine, and no two may meet at torchrun's usual port.
    let meeting = ["--master_addr", "127.0.0.1", "--master_port", &master_port.to_string(), "--node_rank", &rank.to_string()]
        .map(str::to_owned);
    words.into_iter().chain(meeting).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(key: &str, value: &str) -> Work {
        let mut work = Work::for_tests();
        work.hyperparameters = [(key.to_owned(), value.to_owned())].into();
        work
    }

    #[test]
    fn keys_choose_the_launcher() {
        for (key, value, expected) in [
            ("sagemaker_torch_distributed_enabled", "true", Launcher::Torchrun),
            ("sagemaker_torch_distributed_enabled", "\"True\"", Launcher::Torchrun),
            ("sagemaker_torch_distributed_enabled", "false", Launcher::Plain),
            ("sagemaker_instance_type", "\"ml.m5.large\"", Launcher::Plain),
            ("sagemaker_mpi_enabled", "false", Launcher::Plain),
        ] {
            assert_eq!(launcher(&work(key, value)), Ok(expected), "{key} {value}");
        }
        for (key, _) in NOT_OFFERED {
            let Broken(reason) = launcher(&work(key, "true")).expect_err(key);
            assert!(reason.contains(key) && reason.contains("Use torch_distributed"), "{reason}");
        }
    }

    #[test]
    fn each_host_has_its_rank() {
        let folder = tempfile::tempdir().expect("a folder");
        let work = Work::for_tests();
        let host = HostRoot::create(folder.path(), &work, 2).expect("a root");
        let line = torchrun(&work, &host, Path::new("/usr/bin/python3"), 4242).join(" ");
        // Eleven hosts, sorted by text: algo-1, algo-10, algo-11, algo-2.
        assert_eq!(
            line,
            "/usr/bin/python3 -m torch.distributed.run --nnodes 11 --nproc_per_node 1 --master_addr 127.0.0.1 --master_port 4242 --node_rank 3"
        );
    }
}
