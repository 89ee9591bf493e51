//! The variables and the command line that a script gets: what sagemaker-training-toolkit 5 gives it in a container
//! (`environment.py`, `mapping.py`, `entry_point.py`), with `/opt/ml` replaced by the host's own root.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::distribution::{self, Launcher};
use super::layout::{self, HostRoot};
use super::python;
use super::{Broken, Work, source};

/// The hyperparameter that the tuning service adds and no script sees.
const TUNING_OBJECTIVE: &str = "_tuning_objective_metric";
/// The hyperparameters that the toolkit itself reads; other `sagemaker_*` ones are `SM_FRAMEWORK_PARAMS`.
const TOOLKIT_KEYS: [&str; 5] = [
    "sagemaker_program",
    "sagemaker_submit_directory",
    "sagemaker_container_log_level",
    "sagemaker_job_name",
    "sagemaker_region",
];

/// What one host runs.
#[derive(Clone, Debug)]
pub struct Invocation {
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Lines for the log before the script's own, as the toolkit writes them.
    pub preamble: Vec<String>,
}

/// Puts command line and variables together. `python` is the interpreter, `master_port` a free port for the hosts to meet at.
///
/// # Errors
/// When there is nothing that the local region could run; the reason says what to do.
pub fn invocation(work: &Work, host: &HostRoot, python: &Path, master_port: u16) -> Result<Invocation, Broken> {
    let decoded = Decoded::of(work, host);
    let argv = match (&work.entrypoint, decoded.toolkit("sagemaker_program")) {
        (_, Some(program)) => {
            let start = match distribution::launcher(work)? {
                Launcher::Plain => None,
                Launcher::Torchrun => Some(distribution::torchrun(work, host, python, master_port)),
            };
            script_command(&program, &decoded, host, python, start)?
        }
        (Some(entrypoint), None) => own_entrypoint(entrypoint, host)?,
        (None, None) => {
            return Err(Broken::client(format_args!(
                "the image {} names no script, and built-in algorithms are not part of the local region. Send the hyperparameters sagemaker_program and sagemaker_submit_directory (script mode), or a ContainerEntrypoint.",
                work.image
            )));
        }
    };
    let mut preamble = Vec::new();
    if host.code().join("requirements.txt").exists() {
        preamble.push(format!(
            "requirements.txt found: the local region does not install packages. Install them for {} yourself, or choose another interpreter with [local] python.",
            python.display()
        ));
    }
    if names_opt_ml(work) {
        preamble.push(format!(
            "/opt/ml of the container is {} here: the job's parameters that name it were changed.",
            host.ml().display()
        ));
    }
    if let Some(checkpoints) = &work.checkpoints {
        preamble.push(format!(
            "Checkpoints of {} are in {}: a script finds the folder in SM_CHECKPOINT_DIR, or in a hyperparameter that names /opt/ml/checkpoints.",
            checkpoints.place,
            checkpoints.folder(host).display()
        ));
    }
    if work.isolated {
        preamble.push(
            "EnableNetworkIsolation is set: the local region does not cut the script off the network, AWS does.".to_owned(),
        );
    }
    preamble.extend(["Invoking script with the following command:".to_owned(), shell_text(&argv)]);
    Ok(Invocation { env: environment(work, &decoded, host, python, master_port), argv, preamble })
}

/// A command as one line, for people.
#[must_use]
pub fn shell_text(argv: &[String]) -> String {
    argv.join(" ")
}

/// The hyperparameters, decoded and sorted by who they are for.
struct Decoded {
    toolkit: BTreeMap<String, Value>,
    script: BTreeMap<String, Value>,
}

impl Decoded {
    fn of(work: &Work, host: &HostRoot) -> Self {
        let decoded = work.hyperparameters.iter().map(|(key, text)| (key.clone(), python::decode(text)));
        let (toolkit, mut script): (BTreeMap<_, _>, BTreeMap<_, _>) =
            decoded.partition(|(key, _)| key.starts_with("sagemaker_") || key == TUNING_OBJECTIVE);
        let ml = host.ml().display().to_string();
        for value in script.values_mut() {
            if let Value::String(text) = value {
                *text = relocated(text, &ml);
            }
        }
        Self { toolkit, script }
    }

    fn toolkit(&self, key: &str) -> Option<String> {
        self.toolkit.get(key).map(python::plain).filter(|text| !text.is_empty())
    }

    /// The command line: sorted by key, `--key value`, keys of one letter with one dash.
    fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        for (key, value) in &self.script {
            let dashes = if key.chars().count() == 1 { "-" } else { "--" };
            arguments.push(format!("{dashes}{key}"));
            arguments.push(match value {
                Value::Object(entries) => {
                    let pairs: Vec<String> =
                        entries.iter().map(|(key, value)| format!("{key}={}", python::plain(value))).collect();
                    pairs.join(",")
                }
                other => python::plain(other),
            });
        }
        arguments
    }
}

/// The script with its arguments, behind `start` if something else starts it.
fn script_command(
    program: &str,
    decoded: &Decoded,
    host: &HostRoot,
    python: &Path,
    start: Option<Vec<String>>,
) -> Result<Vec<String>, Broken> {
    let python = python.display().to_string();
    let path = host.code().join(program);
    let package = host.code().join("setup.py").exists();
    if !package && !path.is_file() {
        return Err(Broken::client(format_args!(
            "the script {program} is not in the archive sagemaker_submit_directory. It must lie at that path inside of the archive."
        )));
    }
    let script = Path::new(program).extension().is_some_and(|extension| extension == "py");
    let mut argv = if let Some(mut start) = start {
        // As the toolkit refuses it.
        if package || !script {
            return Err(Broken::client(
                "Python packages and shell scripts are not supported for torch_distributed. Please use a python script as the entry-point.",
            ));
        }
        start.push(program.to_owned());
        start
    } else if package {
        vec![python, "-m".to_owned(), program.trim_end_matches(".py").to_owned()]
    } else if script {
        vec![python, program.to_owned()]
    } else {
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, executable).map_err(|error| Broken::region("preparing the script", &error))?;
        vec!["/bin/sh".to_owned(), "-c".to_owned(), "exec \"$0\" \"$@\"".to_owned(), format!("./{program}")]
    };
    argv.extend(decoded.arguments());
    Ok(argv)
}

/// A `ContainerEntrypoint` and its arguments, which name the container's `/opt/ml`.
fn own_entrypoint(entrypoint: &[String], host: &HostRoot) -> Result<Vec<String>, Broken> {
    if entrypoint.iter().any(|word| word.contains("/opt/ml/input/data/sm_drivers")) {
        return Err(Broken::client(
            "the SageMaker Python SDK v3 (ModelTrainer) starts its scripts through files that name /opt/ml, which does not exist on this machine. Use script mode (SDK v2 or footplate) on the local region.",
        ));
    }
    let ml = host.ml().display().to_string();
    Ok(entrypoint.iter().map(|word| relocated(word, &ml)).collect())
}

/// The text with this host's folder wherever it names `/opt/ml` or something below it. assumed: harmless, because nothing
/// else than the container's folder can be meant by that path.
fn relocated(text: &str, ml: &str) -> String {
    const CONTAINERS: &str = "/opt/ml";
    let of_a_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(CONTAINERS) {
        let (before, after) = (&rest[..start], &rest[start + CONTAINERS.len()..]);
        done.push_str(before);
        let whole = !done.ends_with(|c| of_a_path(c) || c == '/') && !after.starts_with(of_a_path);
        done.push_str(if whole { ml } else { CONTAINERS });
        rest = after;
    }
    done.push_str(rest);
    done
}

/// Whether anything that is changed for this host names `/opt/ml`.
fn names_opt_ml(work: &Work) -> bool {
    let texts = work.hyperparameters.values().chain(work.environment.values()).chain(work.entrypoint.iter().flatten());
    texts.into_iter().any(|text| relocated(text, "") != *text)
}

/// The whole environment: nothing of the user's, then the job's own variables, then the toolkit's.
fn environment(work: &Work, decoded: &Decoded, host: &HostRoot, python: &Path, master_port: u16) -> Vec<(String, String)> {
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: String| {
        env.insert(name.to_owned(), value);
    };
    let folder = python.parent().map(|folder| format!("{}:", folder.display())).unwrap_or_default();
    set("PATH", format!("{folder}/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"));
    set("LANG", "C.UTF-8".to_owned());
    set("HOME", host.home().display().to_string());
    set("TMPDIR", host.scratch().display().to_string());
    // Without it a script's lines would arrive when it ends and not while it runs.
    set("PYTHONUNBUFFERED", "1".to_owned());
    set("PYTHONPATH", host.code().display().to_string());
    set("AWS_REGION", work.region.clone());
    // A script that uses boto3 would otherwise wait for the instance's metadata service.
    set("AWS_EC2_METADATA_DISABLED", "true".to_owned());
    set("TRAINING_JOB_NAME", work.name.clone());
    set("TRAINING_JOB_ARN", work.arn.clone());
    for (name, value) in &work.environment {
        set(name, relocated(value, &host.ml().display().to_string()));
    }

    set("SAGEMAKER_JOB_NAME", work.name.clone());
    set("SAGEMAKER_REGION", work.region.clone());
    set("SAGEMAKER_BASE_DIR", host.ml().display().to_string());
    set("CURRENT_HOST", host.name());
    // The names algo-1… mean nothing to this machine's resolver: the hosts meet on loopback, each job at its own port.
    set("MASTER_ADDR", "127.0.0.1".to_owned());
    set("MASTER_PORT", master_port.to_string());
    set("SM_MASTER_ADDR", "127.0.0.1".to_owned());
    set("SM_MASTER_PORT", master_port.to_string());
    set("NCCL_SOCKET_IFNAME", layout::INTERFACE.to_owned());
    set("GLOO_SOCKET_IFNAME", layout::INTERFACE.to_owned());
    set("NCCL_IB_DISABLE", "1".to_owned());
    set("NCCL_DEBUG", "WARN".to_owned());

    let properties = properties(work, decoded, host);
    for (name, key) in TOOLKIT_VARIABLES {
        set(name, variable(&properties[*key]));
    }
    set("SM_HPS", python::dumps(&properties["hyperparameters"]));
    set("SM_FRAMEWORK_PARAMS", python::dumps(&properties["additional_framework_parameters"]));
    set("SM_USER_ARGS", python::dumps(&json!(decoded.arguments())));
    set("SM_TRAINING_ENV", python::dumps(&Value::Object(properties)));
    if let Some(checkpoints) = &work.checkpoints {
        // Not of the toolkit: on AWS the path is the same for every job.
        set("SM_CHECKPOINT_DIR", checkpoints.folder(host).display().to_string());
    }
    for channel in &work.channels {
        set(&format!("SM_CHANNEL_{}", channel.name.to_uppercase()), host.channel(&channel.name).display().to_string());
    }
    for (key, value) in &decoded.script {
        set(&format!("SM_HP_{}", key.to_uppercase()), variable(value));
    }
    // A name with `=` or NUL in it cannot be a variable.
    env.into_iter().filter(|(name, value)| !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')).collect()
}

/// The variables that are one property each, by the property's name in `SM_TRAINING_ENV`.
const TOOLKIT_VARIABLES: &[(&str, &str)] = &[
    ("SM_HOSTS", "hosts"),
    ("SM_NETWORK_INTERFACE_NAME", "network_interface_name"),
    ("SM_USER_ENTRY_POINT", "user_entry_point"),
    ("SM_RESOURCE_CONFIG", "resource_config"),
    ("SM_INPUT_DATA_CONFIG", "input_data_config"),
    ("SM_OUTPUT_DATA_DIR", "output_data_dir"),
    ("SM_CHANNELS", "channels"),
    ("SM_CURRENT_HOST", "current_host"),
    ("SM_CURRENT_INSTANCE_TYPE", "current_instance_type"),
    ("SM_CURRENT_INSTANCE_GROUP", "current_instance_group"),
    ("SM_CURRENT_INSTANCE_GROUP_HOSTS", "current_instance_group_hosts"),
    ("SM_INSTANCE_GROUPS", "instance_groups"),
    ("SM_INSTANCE_GROUPS_DICT", "instance_groups_dict"),
    ("SM_DISTRIBUTION_INSTANCE_GROUPS", "distribution_instance_groups"),
    ("SM_IS_HETERO", "is_hetero"),
    ("SM_MODULE_NAME", "module_name"),
    ("SM_LOG_LEVEL", "log_level"),
    ("SM_FRAMEWORK_MODULE", "framework_module"),
    ("SM_INPUT_DIR", "input_dir"),
    ("SM_INPUT_CONFIG_DIR", "input_config_dir"),
    ("SM_OUTPUT_DIR", "output_dir"),
    ("SM_NUM_CPUS", "num_cpus"),
    ("SM_NUM_GPUS", "num_gpus"),
    ("SM_NUM_NEURONS", "num_neurons"),
    ("SM_MODEL_DIR", "model_dir"),
    ("SM_MODULE_DIR", "module_dir"),
    ("SM_OUTPUT_INTERMEDIATE_DIR", "output_intermediate_dir"),
];

/// The properties of the toolkit's Environment class, as `SM_TRAINING_ENV` has them.
fn properties(work: &Work, decoded: &Decoded, host: &HostRoot) -> Map<String, Value> {
    let program = decoded.toolkit("sagemaker_program").unwrap_or_default();
    let resources = layout::resource_config(work, host.number);
    let hosts = &resources["hosts"];
    let framework: Map<String, Value> = decoded
        .toolkit
        .iter()
        .filter(|(key, _)| key.as_str() != TUNING_OBJECTIVE && !TOOLKIT_KEYS.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let channel_dirs: BTreeMap<&str, String> =
        work.channels.iter().map(|channel| (channel.name.as_str(), host.channel(&channel.name).display().to_string())).collect();
    let properties = json!({
        "additional_framework_parameters": framework,
        "channel_input_dirs": channel_dirs,
        "channels": channel_dirs.keys().collect::<Vec<_>>(),
        "current_host": host.name(),
        "current_instance_group": "homogeneousCluster",
        "current_instance_group_hosts": hosts,
        "current_instance_type": work.instance_type,
        "distribution_hosts": [],
        "distribution_instance_groups": [],
        "framework_module": framework_module(&work.image),
        "hosts": hosts,
        "hyperparameters": decoded.script,
        "input_config_dir": host.config().display().to_string(),
        "input_data_config": layout::input_data_config(work),
        "input_dir": host.input().display().to_string(),
        "instance_groups": ["homogeneousCluster"],
        "instance_groups_dict": {"homogeneousCluster": resources["instance_groups"][0]},
        "is_hetero": false,
        "is_master": host.number == 1,
        "job_name": work.name,
        "log_level": decoded.toolkit.get("sagemaker_container_log_level").cloned().unwrap_or(json!(20)),
        "master_hostname": "algo-1",
        "model_dir": host.model().display().to_string(),
        "module_dir": source::submit_directory(work).unwrap_or_default(),
        "module_name": Path::new(&program).with_extension("").display().to_string(),
        "network_interface_name": layout::INTERFACE,
        "num_cpus": std::thread::available_parallelism().map_or(1, usize::from),
        "num_gpus": 0,
        "num_neurons": 0,
        "output_data_dir": host.output_data().display().to_string(),
        "output_dir": host.output().display().to_string(),
        "output_intermediate_dir": host.output().join("intermediate").display().to_string(),
        "resource_config": resources,
        "user_entry_point": program,
    });
    match properties {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}

/// `_encode` of the toolkit: texts as they are, None empty, everything else compact JSON.
fn variable(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => python::dumps(other),
    }
}

/// The module that the framework's image sets in `SAGEMAKER_TRAINING_MODULE`, e.g. `sagemaker_pytorch_container.training:main`.
fn framework_module(image: &str) -> Option<String> {
    let framework = image.rsplit('/').next()?.split_once("-training")?.0;
    Some(format!("sagemaker_{framework}_container.training:main"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_containers_folder_is_named_by_its_place_here() {
        for (text, expected) in [
            ("/opt/ml", "/r"),
            ("python /opt/ml/input/data/code/train.py --out=/opt/ml/model", "python /r/input/data/code/train.py --out=/r/model"),
            ("\"/opt/ml\"", "\"/r\""),
            ("/opt/mlx /opt/ml-2 /my/opt/ml x/opt/ml //opt/ml", "/opt/mlx /opt/ml-2 /my/opt/ml x/opt/ml //opt/ml"),
            ("", ""),
        ] {
            assert_eq!(relocated(text, "/r"), expected);
        }
    }

    fn work(hyperparameters: &[(&str, &str)]) -> Work {
        let owned = hyperparameters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Work {
            hyperparameters: owned.collect(),
            environment: [("MINE".to_owned(), "1".to_owned()), ("SM_MODEL_DIR".to_owned(), "s3://mine".to_owned())].into(),
            ..Work::for_tests()
        }
    }

    fn invoke(hyperparameters: &[(&str, &str)]) -> Result<Invocation, Broken> {
        invoke_work(&work(hyperparameters))
    }

    fn invoke_work(work: &Work) -> Result<Invocation, Broken> {
        let folder = tempfile::tempdir().expect("a folder");
        let host = HostRoot::create(folder.path(), work, 2).expect("a root");
        std::fs::write(host.code().join("train.py"), "").expect("writes");
        std::fs::write(host.code().join("train.sh"), "").expect("writes");
        invocation(work, &host, Path::new("/usr/bin/python3"), 4242)
    }

    #[test]
    fn the_command_line_is_the_toolkits() {
        let invocation = invoke(&[
            ("sagemaker_program", "\"train.py\""),
            ("_tuning_objective_metric", "Test Loss"),
            ("lr", "1e-05"),
            ("batch-size", "\"64\""),
            ("e", "1"),
            ("flag", "true"),
            ("map", "{\"k\": 1, \"l\": \"x\"}"),
        ])
        .expect("runs");
        let expected = [
            "/usr/bin/python3",
            "train.py",
            "--batch-size",
            "64",
            "-e",
            "1",
            "--flag",
            "True",
            "--lr",
            "1e-05",
            "--map",
            "k=1,l=x",
        ];
        assert_eq!(invocation.argv, expected);
    }

    #[test]
    fn variables_are_the_toolkits_and_nothing_of_ours() {
        let invocation = invoke(&[("sagemaker_program", "train.py"), ("batch-size", "64"), ("none", "null")]).expect("runs");
        let env: BTreeMap<_, _> = invocation.env.into_iter().collect();
        assert_eq!(env["SM_HP_BATCH-SIZE"], "64");
        assert_eq!(env["SM_HP_NONE"], "");
        assert_eq!(env["SM_CURRENT_HOST"], "algo-2");
        assert!(env["SM_HOSTS"].starts_with("[\"algo-1\",\"algo-10\",\"algo-11\",\"algo-2\""));
        assert_eq!(env["SM_FRAMEWORK_MODULE"], "sagemaker_pytorch_container.training:main");
        assert_eq!(env["SM_MODULE_NAME"], "train");
        assert_eq!((env["SM_NUM_GPUS"].as_str(), env["MINE"].as_str()), ("0", "1"));
        assert!(env["SM_MODEL_DIR"].ends_with("/algo-2/ml/model"), "the toolkit's value wins over the job's");
        assert!(serde_json::from_str::<Value>(&env["SM_TRAINING_ENV"]).is_ok());
        let user: Vec<_> = std::env::vars().filter(|(name, _)| name.starts_with("CARGO")).collect();
        assert!(!user.is_empty() && user.iter().all(|(name, _)| !env.contains_key(name)));
    }

    #[test]
    fn a_shell_script_gets_its_arguments_unharmed() {
        let invocation = invoke(&[("sagemaker_program", "train.sh"), ("text", "\"a b\"")]).expect("runs");
        assert_eq!(invocation.argv[3..], ["./train.sh", "--text", "a b"]);
    }

    #[test]
    fn what_cannot_run_says_what_to_do() {
        assert!(invoke(&[]).expect_err("no script").0.contains("sagemaker_program"));
        assert!(invoke(&[("sagemaker_program", "gone.py")]).expect_err("no file").0.contains("gone.py"));
        let mut driven = work(&[]);
        driven.entrypoint = Some(vec!["/bin/bash".to_owned(), "/opt/ml/input/data/sm_drivers/sm_train.sh".to_owned()]);
        assert!(invoke_work(&driven).expect_err("its files name /opt/ml").0.contains("ModelTrainer"));
    }
}
