//! How the hosts of a job share its work: the launchers of SageMaker's containers, switched on by hyperparameters that the
//! Python SDK v2 sends (`_distribution_configuration` in its `estimator.py` and `pytorch/estimator.py`, 2.257).

use std::collections::HashMap;
use std::hash::BuildHasher;

use super::hyperparameters::decode;
use crate::aws::instance_types;
use crate::model::Extras;

/// Not one of [`NAMES`], but what the job that is copied had.
pub const KEPT: &str = "as in the parent";
/// What a project may ask for.
pub const NAMES: [&str; 3] = ["torchrun", "mpi", "smddp"];

const TORCHRUN: &str = "sagemaker_torch_distributed_enabled";
const MPI: &str = "sagemaker_mpi_enabled";
const MPI_PROCESSES: &str = "sagemaker_mpi_num_of_processes_per_host";
const MPI_OPTIONS: &str = "sagemaker_mpi_custom_mpi_options";
const SMDDP: &str = "sagemaker_distributed_dataparallel_enabled";
const SMDDP_OPTIONS: &str = "sagemaker_distributed_dataparallel_custom_mpi_options";
const INSTANCE_TYPE: &str = "sagemaker_instance_type";
/// Launchers that the form does not offer; a copy keeps them.
const OTHERS: [&str; 5] = [
    "sagemaker_parameter_server_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
    "sagemaker_distribution_instance_groups",
];

/// The types that the SageMaker data parallel library runs on (`SM_DATAPARALLEL_SUPPORTED_INSTANCE_TYPES`, SDK 2.257).
const SMDDP_TYPES: [&str; 4] = ["ml.p3.16xlarge", "ml.p3dn.24xlarge", "ml.p4d.24xlarge", "ml.p4de.24xlarge"];

/// Whether a hyperparameter belongs to a launcher.
#[must_use]
pub fn is_key(name: &str) -> bool {
    [TORCHRUN, MPI, MPI_PROCESSES, MPI_OPTIONS, SMDDP, SMDDP_OPTIONS, INSTANCE_TYPE].contains(&name) || OTHERS.contains(&name)
}

/// The hyperparameters of a launcher, as they travel, in place of those that `all` had.
pub fn put(all: &mut impl Extend<(String, String)>, extras: &Extras, instance_type: &str) {
    let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let kind = (INSTANCE_TYPE.to_owned(), serde_json::Value::from(instance_type).to_string());
    match extras.distribution.as_deref() {
        Some("torchrun") => all.extend([text(TORCHRUN, "true"), kind]),
        Some("smddp") => all.extend([text(SMDDP, "true"), kind, text(SMDDP_OPTIONS, "\"\"")]),
        Some("mpi") => {
            all.extend([text(MPI, "true"), text(MPI_OPTIONS, "\"\"")]);
            all.extend(extras.processes_per_host.map(|processes| text(MPI_PROCESSES, &processes.to_string())));
        }
        _ => {}
    }
}

/// The launcher of a job that has run, and its processes per host.
#[must_use]
pub fn of<S: BuildHasher>(hyperparameters: &HashMap<String, String, S>) -> (Option<String>, Option<u32>) {
    let on = |key: &&str| hyperparameters.get(*key).is_some_and(|value| !["false", "[]", ""].contains(&decode(value).as_str()));
    let known: Vec<&str> = [TORCHRUN, MPI, SMDDP].into_iter().filter(on).collect();
    let name = match known[..] {
        _ if OTHERS.iter().any(on) => KEPT,
        [] => return (None, None),
        [TORCHRUN] => "torchrun",
        [MPI] => "mpi",
        [SMDDP] => "smddp",
        // Several at once.
        _ => KEPT,
    };
    let processes = hyperparameters.get(MPI_PROCESSES).and_then(|value| decode(value).parse().ok());
    (Some(name.to_owned()), processes.filter(|_| name == "mpi"))
}

/// The launcher's hyperparameters of a parent, for a copy that keeps them on an instance type of its own.
#[must_use]
pub fn kept<S: BuildHasher>(hyperparameters: &HashMap<String, String, S>, instance_type: &str) -> Vec<(String, String)> {
    let keys = hyperparameters.iter().filter(|(key, _)| is_key(key));
    keys.map(|(key, value)| {
        let value = if key == INSTANCE_TYPE { serde_json::Value::from(instance_type).to_string() } else { value.clone() };
        (key.clone(), value)
    })
    .collect()
}

/// Why a launcher cannot run there, with the remedy. The rules are the Python SDK's (`validate_torch_distributed_distribution`
/// and `_validate_smdataparallel_args` in its `fw_utils.py`); versions are not asked of an `image` of one's own.
#[must_use]
pub fn problem(name: &str, instance_type: &str, version: &str, image: &str, script: &str) -> Option<String> {
    let version = if image.is_empty() { numbers(version) } else { None };
    match name {
        "none" | "" | KEPT => None,
        _ if script.is_empty() => Some(format!("{name} starts a script; name one under `entry_point`, or choose none")),
        "torchrun" if !script.to_ascii_lowercase().ends_with(".py") => {
            Some(format!("torchrun starts Python scripts only, not {script}; choose mpi"))
        }
        "torchrun" if version.is_some_and(|version| version < (1, 13)) => {
            Some("torchrun needs PyTorch 1.13.1 or later; take a newer version, or mpi".to_owned())
        }
        "smddp" if !SMDDP_TYPES.contains(&instance_type) => {
            Some(format!("smddp runs on {}, not on {instance_type}; take one of them, or torchrun", SMDDP_TYPES.join(", ")))
        }
        "smddp" if version.is_some_and(|version| !((1, 6)..=(2, 2)).contains(&version)) => {
            Some("smddp comes with PyTorch 1.6 to 2.2; take one of these versions, or torchrun".to_owned())
        }
        _ => None,
    }
}

/// What is odd about a launcher there, though it works.
#[must_use]
pub fn oddity(name: &str, instance_type: &str) -> Option<String> {
    // The Python SDK refuses it; the toolkit in the container starts a single process (`torch_distributed.py`).
    (name == "torchrun" && !instance_types::is_accelerated(instance_type)).then(|| {
        format!(
            "torchrun starts a process per GPU; {instance_type} has none, so it is one per host: take e.g. ml.g5.xlarge for more"
        )
    })
}

/// The first two numbers of a version; `None` when it is none.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_launcher_of_a_job_is_known_by_its_keys() {
        let told = |pairs: &[(&str, &str)]| {
            of(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<HashMap<_, _>>())
        };
        let named = |name: &str, processes| (Some(name.to_owned()), processes);
        assert_eq!(told(&[("lr", "1")]), (None, None));
        assert_eq!(told(&[(TORCHRUN, "true"), (INSTANCE_TYPE, "\"ml.g5.xlarge\"")]), named("torchrun", None));
        assert_eq!(told(&[(MPI, "true"), (MPI_PROCESSES, "8"), (MPI_OPTIONS, "\"\"")]), named("mpi", Some(8)));
        assert_eq!(told(&[(MPI, "false"), (MPI_OPTIONS, "\"\"")]), (None, None));
        assert_eq!(told(&[(SMDDP, "true"), (TORCHRUN, "true")]), named(KEPT, None));
        assert_eq!(told(&[("sagemaker_parameter_server_enabled", "true")]), named(KEPT, None));
    }

    #[test]
    fn what_was_put_is_told_again() {
        for (name, processes_per_host) in [("torchrun", None), ("smddp", None), ("mpi", None), ("mpi", Some(4))] {
            let extras = Extras { distribution: Some(name.to_owned()), processes_per_host, ..Extras::default() };
            let mut all: HashMap<String, String> = HashMap::new();
            put(&mut all, &extras, "ml.p4d.24xlarge");
            assert!(all.keys().all(|key| is_key(key)));
            assert_eq!(of(&all), (Some(name.to_owned()), processes_per_host));
        }
    }

    #[test]
    fn launchers_say_where_they_run() {
        let said = |name, kind, version| problem(name, kind, version, "", "train.py").unwrap_or_default();
        assert!(oddity("torchrun", "ml.m5.xlarge").unwrap().contains("one per host"));
        assert_eq!((oddity("torchrun", "ml.g5.xlarge"), oddity("mpi", "ml.m5.xlarge")), (None, None));
        assert!(said("torchrun", "ml.g5.xlarge", "1.9").contains("1.13.1"));
        assert!(said("smddp", "ml.p5.48xlarge", "2.0.1").contains("ml.p4d.24xlarge"));
        assert!(said("smddp", "ml.p4d.24xlarge", "2.6").contains("1.6 to 2.2"));
        assert_eq!(said("mpi", "ml.m5.xlarge", "1.9") + &said("torchrun", "ml.trn1.2xlarge", "2.6"), "");
        assert_eq!(problem("torchrun", "ml.g5.xlarge", "1.9", "own/image:1", "train.py"), None);
        assert!(problem("torchrun", "ml.g5.xlarge", "2.6", "", "train.sh").unwrap().contains("Python"));
        assert!(problem("mpi", "ml.m5.xlarge", "", "own/image:1", "").unwrap().contains("entry_point"));
    }
}
