//! The project file, `footplate.toml`: what the forms and commands start from.
//!
//! Every key is optional; what is left out has the default shown here.
//!
//! ```toml
//! [project]
//! name = "digits"                  # base of job names: letters, digits and dashes; default: the folder's name
//! bucket = "my-bucket"             # default: sagemaker-{region}-{account}, SageMaker's own
//! role = "SageMakerRole"           # execution role, name or ARN; the local region has one of its own
//! [project.tags]                   # on everything the project makes
//! team = "vision"
//!
//! [code]
//! source_dir = "."                 # folder that is sent along; relative to this file
//! entry_point = "train.py"         # the script, relative to source_dir
//! framework = "pytorch"
//! framework_version = "2.6"        # with py_version, picks the container image on AWS
//! py_version = "py312"
//! image = "…dkr.ecr…"              # a full image URI, instead of framework, framework_version and py_version
//!
//! [data]                           # channel = s3:// URI, or a folder or .zip that is uploaded first
//! train = "digits.zip"
//!
//! [training]
//! instance_type = "ml.m5.large"
//! instance_count = 1
//! volume_gb = 30
//! max_runtime = "24h"              # seconds, or text: 90m, 2h, 1d
//! spot = false                     # spare capacity: cheaper, and may be taken away; max_wait = "48h" is for run and waiting
//! checkpoints = "s3://b/ckpt/"     # kept in step with /opt/ml/checkpoints, and restored from there
//! keep_alive = "10m"               # keep the instances warm for the next job; they go on costing money
//! network_isolation = false
//! encrypt_traffic = false          # between the instances of a job
//! subnets = ["subnet-0a"]          # with security_groups: run inside your VPC
//! security_groups = ["sg-0a"]
//! volume_kms_key = "…"             # and output_kms_key: keys for volumes and for what is written to S3
//! distribution = "torchrun"        # or mpi (with processes_per_host), or smddp
//! [training.hyperparameters]       # arguments of the script: --epochs 20 --lr 0.05
//! epochs = 20
//! lr = 0.05
//! [training.environment]           # environment variables of the script
//! TOKENIZERS_PARALLELISM = "false"
//!
//! [[metrics]]                      # numbers to find in the log: the first group of the regex
//! name = "loss"
//! regex = 'loss=([0-9.e+-]+)'
//!
//! [tuning]                         # what `footplate tune` does; without it there is no tuning
//! strategy = "Bayesian"            # or Random, Grid, Hyperband
//! max_jobs = 2
//! max_parallel_jobs = 1
//! early_stopping = false
//! entry_point = "hpo.py"           # default: that of [code]; so are instance_type, instance_count, max_runtime those of [training]
//! max_total = "4h"                 # seed = 1, target = 0.1, max_not_improving = 5, warm_start = ["job"], warm_start_identical = false
//! [tuning.objective]
//! metric = "loss"                  # one of [[metrics]]
//! goal = "minimize"                # or maximize
//! [tuning.ranges]                  # whole numbers: integer; with a point: continuous; a list: one of these
//! lr = { min = 0.001, max = 0.1, scaling = "Auto" }
//! batch-size = [32, 64, 128]
//! [tuning.hyperparameters]         # what all trials share; default: [training.hyperparameters] without the ranges
//! epochs = 5
//!
//! [endpoint]                       # what `footplate deploy` does
//! instance_type = "ml.m5.large"
//! instance_count = 1
//! entry_point = "inference.py"     # relative to source_dir
//! content_type = "application/json" # what `invoke` sends, and what it wants back
//! accept = "application/json"
//! classes = ["cat", "dog"]         # or a file with a name a line
//! smoke_test = "sample.json"       # sent once when the endpoint has come up
//! [endpoint.environment]
//! OMP_NUM_THREADS = "1"
//!
//! [instance]                       # what `footplate instance` launches: an EC2 instance to experiment on
//! image = "resolve:ssm:…"          # an AMI's id, its name (* stands for anything), or resolve:ssm: with a parameter
//! instance_type = "g5.2xlarge"     # default: g4dn.xlarge
//! storage_gb = 100                 # default: what the AMI asks for
//! lease = "4h"                     # it ends itself after that, also when nobody looks
//! spot = false                     # zone = "us-east-1a", or subnet = "subnet-0a"; security_group = "sg-0a"
//! instance_profile = "training"    # name or ARN; with its role the instance fetches s3:// data itself
//! [instance.run]                   # what is trained there
//! data = "https://…/images.zip"    # fetched and unpacked there; or s3://…, or a folder or file of the project
//! folders = ["TrainedModels"]
//! script = "solution.py"           # relative to source_dir; default: entry_point
//! environment = "pytorch"          # the conda environment or virtual environment
//! results = ["TrainedModels"]      # fetched when it is over
//! [instance.run.arguments]         # --epochs 5
//! epochs = 5
//!
//! [lint]
//! silence = ["identical-copies"]   # rules of the script's lint that you do not want to hear of
//!
//! [local]
//! python = "venv/bin/python"       # what the local region runs scripts with; default: python3 on the PATH
//! ```

mod endpoint;
mod extras;
mod instance;
mod tuning;

use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use regex::Regex;

use super::sheet::{self, Section, Sheet};
use crate::model::{Channel, Failure, FailureKind, MetricRule, Recipe, Scalar};

/// The file's name.
pub const FILE: &str = "footplate.toml";

/// Limits of `CreateTrainingJob` (service model): regex length, metric definitions, channels, hyperparameters.
const REGEX_LENGTH: usize = 500;
const METRICS: usize = 40;
const CHANNELS: usize = 20;
const HYPERPARAMETERS: usize = 100;
/// Script mode itself takes five of the hyperparameters (`sagemaker_program` and its like).
const RESERVED_HYPERPARAMETERS: usize = 5;

/// Reads the project file in that folder.
///
/// # Errors
/// `NotFound` with the way to make one when there is none; `Invalid` with every mistake and its line when there are any.
pub fn load(dir: &Path) -> Result<Recipe, Failure> {
    let path = dir.join(FILE);
    match sheet::read(&path)? {
        Some(text) => parse(&text, &path, dir),
        None => Err(Failure::new(
            FailureKind::NotFound,
            format!("there is no {FILE} in {}", dir.display()),
            format!(
                "Go to your project's folder or name it with --project, or make the file {FILE} there; this is enough:\n  [code]\n  entry_point = \"train.py\"\n  [data]\n  train = \"data/\""
            ),
        )),
    }
}

/// The nearest folder, from `start` upwards, that holds a project file.
#[must_use]
pub fn find(start: &Path) -> Option<PathBuf> {
    start.ancestors().find(|folder| folder.join(FILE).is_file()).map(Path::to_owned)
}

/// What a project without a file would say: the defaults, named after the folder.
#[must_use]
pub fn bare(dir: &Path) -> Recipe {
    Recipe {
        root: dir.to_owned(),
        name: name_of(dir),
        framework: "pytorch".to_owned(),
        framework_version: "2.6".to_owned(),
        py_version: "py312".to_owned(),
        source_dir: PathBuf::from("."),
        entry_point: "train.py".to_owned(),
        instance_type: "ml.m5.large".to_owned(),
        instance_count: 1,
        volume_gb: 30,
        max_runtime_seconds: 86_400,
        ..Recipe::default()
    }
}

fn parse(text: &str, path: &Path, dir: &Path) -> Result<Recipe, Failure> {
    let sheet = Sheet::new(text);
    let mut recipe = bare(dir);
    if let Some(table) = sheet.parse() {
        let top = sheet.top(&table);
        project(&top.section("project"), &mut recipe);
        code(&top.section("code"), &mut recipe);
        data(&top.section("data"), &mut recipe);
        training(&top.section("training"), &mut recipe);
        metrics(top.sections("metrics"), &mut recipe);
        tuning::read(&top, &mut recipe);
        endpoint::read(&top, dir, &mut recipe);
        instance::read(&top, &mut recipe);
        lint(&top.section("lint"), &mut recipe);
        let local = top.section("local");
        recipe.local_python = local.text("python").map(PathBuf::from);
        local.close();
        top.close();
    }
    sheet.finish(path)?;
    Ok(recipe)
}

fn project(section: &Section, recipe: &mut Recipe) {
    if let Some(name) = section.text("name") {
        if is_name(&name) {
            recipe.name = name;
        } else {
            section.wrong("name", &format!("must be 1 to 40 letters, digits and single dashes; write \"{}\"", as_name(&name)));
        }
    }
    if let Some(bucket) = section.text("bucket") {
        if is_bucket(&bucket) {
            recipe.bucket = Some(bucket);
        } else {
            section.wrong(
                "bucket",
                "must be a bucket's name alone: 3 to 63 lower-case letters, digits, dots and dashes, without s3:// and path",
            );
        }
    }
    recipe.role = section.text("role");
    let tags = section.section("tags");
    recipe.tags = limited(&tags, 128, 256);
    section.close();
}

fn code(section: &Section, recipe: &mut Recipe) {
    if let Some(folder) = section.text("source_dir") {
        recipe.source_dir = PathBuf::from(folder);
    }
    if let Some(script) = entry_point(section) {
        recipe.entry_point = script;
    }
    if let Some(framework) = section.text("framework") {
        if framework == "pytorch" {
            recipe.framework = framework;
        } else {
            section.wrong("framework", "must be \"pytorch\"; for anything else, name a container image with `image`");
        }
    }
    if let Some(version) = section.text("framework_version") {
        if version.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())) {
            recipe.framework_version = version;
        } else {
            section.wrong("framework_version", "must be numbers and dots, for instance \"2.6\"");
        }
    }
    if let Some(version) = section.text("py_version") {
        match version.strip_prefix("py") {
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => recipe.py_version = version,
            _ => section.wrong("py_version", "must be written like \"py312\""),
        }
    }
    recipe.image = section.text("image");
    section.close();
}

fn entry_point(section: &Section) -> Option<String> {
    let script = section.text("entry_point")?;
    if stays_inside(Path::new(&script)) {
        return Some(script);
    }
    section.wrong(
        "entry_point",
        "must be a path inside source_dir, for instance \"train.py\"; set source_dir to the folder that holds the script",
    );
    None
}

fn data(section: &Section, recipe: &mut Recipe) {
    for (name, span, source) in section.texts() {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            section.note(span, format!("the channel `{name}` must be 1 to 64 letters, digits, dots, dashes and underscores"));
        } else if source.trim().is_empty() {
            section.note(span, format!("the channel `{name}` is empty; write an s3:// URI, a folder or a .zip"));
        } else if source.contains("://")
            && !source.strip_prefix("s3://").is_some_and(|rest| is_bucket(rest.split('/').next().unwrap_or_default()))
        {
            section.note(span, format!("the channel `{name}` must be s3://BUCKET/PREFIX, a folder or a .zip"));
        } else {
            recipe.channels.push(Channel { name, source });
        }
    }
    if recipe.channels.len() > CHANNELS {
        section.note(section.place(), format!("[data] has {} channels; SageMaker allows {CHANNELS}", recipe.channels.len()));
    }
}

fn training(section: &Section, recipe: &mut Recipe) {
    if let Some(kind) = instance_type(section) {
        recipe.instance_type = kind;
    }
    let whole = |key, range| section.whole(key, range).and_then(|number| u32::try_from(number).ok());
    recipe.instance_count = whole("instance_count", 1..=1000).unwrap_or(recipe.instance_count);
    recipe.volume_gb = whole("volume_gb", 1..=16_384).unwrap_or(recipe.volume_gb);
    // 28 days is the longest that SageMaker lets a training job run.
    let longest = section.seconds("max_runtime", 1..=28 * 86_400).and_then(|seconds| u32::try_from(seconds).ok());
    recipe.max_runtime_seconds = longest.unwrap_or(recipe.max_runtime_seconds);
    recipe.hyperparameters = hyperparameters(&section.section("hyperparameters"));
    let environment = section.section("environment");
    recipe.environment = limited(&environment, 512, 512);
    recipe.extras = extras::read(section);
    section.close();
}

fn instance_type(section: &Section) -> Option<String> {
    let kind = section.text("instance_type")?;
    if is_instance_type(&kind) {
        return Some(kind);
    }
    section.wrong("instance_type", "must be one of SageMaker's instance types, for instance \"ml.m5.large\" or \"ml.g5.xlarge\"");
    None
}

/// A table of hyperparameters, in the order of the file.
fn hyperparameters(section: &Section) -> Vec<(String, Scalar)> {
    let mut fine = Vec::new();
    for (name, span, value) in section.scalars() {
        if is_hyperparameter(section, &name, span) {
            fine.push((name, value));
        }
    }
    let most = HYPERPARAMETERS - RESERVED_HYPERPARAMETERS;
    if fine.len() > most {
        section.note(section.place(), format!("there are {} hyperparameters; SageMaker leaves room for {most}", fine.len()));
    }
    fine
}

fn is_hyperparameter(section: &Section, name: &str, span: Range<usize>) -> bool {
    if name.is_empty() || name.len() > 256 {
        section.note(span, "a hyperparameter's name must have 1 to 256 characters");
        false
    } else if name.starts_with("sagemaker_") || name.starts_with('_') {
        section.note(span, format!("`{name}` is reserved for SageMaker; choose another name"));
        false
    } else {
        true
    }
}

fn metrics(sections: Vec<Section>, recipe: &mut Recipe) {
    for section in sections {
        if let (Some(name), Some(regex)) = (required(&section, "name"), required(&section, "regex")) {
            if recipe.metrics.iter().any(|rule| rule.name == name) {
                section.wrong("name", &format!("is the second metric named \"{name}\"; give it another name"));
            }
            check_regex(&section, &regex);
            recipe.metrics.push(MetricRule { name, regex });
        }
        if recipe.metrics.len() == METRICS + 1 {
            section.note(section.place(), format!("there are more than {METRICS} metrics, which is all that SageMaker allows"));
        }
        section.close();
    }
}

fn check_regex(section: &Section, regex: &str) {
    if regex.chars().count() > REGEX_LENGTH {
        section.wrong("regex", &format!("must have at most {REGEX_LENGTH} characters"));
        return;
    }
    match Regex::new(regex) {
        Ok(compiled) if compiled.captures_len() < 2 => {
            section.wrong("regex", "has no group; put brackets around the number, for instance 'loss=([0-9.e+-]+)'");
        }
        Ok(_) => {}
        Err(error) => {
            // The last line of the crate's drawing says what is wrong; the lines above repeat the pattern.
            let said = error.to_string();
            let said = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
            section.wrong("regex", &format!("does not compile: {said}"));
        }
    }
}

fn lint(section: &Section, recipe: &mut Recipe) {
    recipe.lint_silenced = section.list("silence").unwrap_or_default();
    section.close();
}

fn required(section: &Section, key: &'static str) -> Option<String> {
    if !section.has(key) {
        section.note(section.place(), format!("{} lacks `{key}`; add the line {key} = '…'", section.title()));
    }
    section.text(key)
}

/// A table of names and texts with the service's limits on their lengths.
fn limited(section: &Section, name_length: usize, value_length: usize) -> Vec<(String, String)> {
    let mut fine = Vec::new();
    for (name, span, value) in section.texts() {
        let check = |wrong: bool, span: Range<usize>, message: String| {
            if wrong {
                section.note(span, message);
            }
            !wrong
        };
        let long = |text: &str, most: usize| text.chars().count() > most;
        if check(
            name.is_empty() || long(&name, name_length),
            span.clone(),
            format!("a name in {} must have 1 to {name_length} characters", section.title()),
        ) && check(
            long(&value, value_length),
            span,
            format!("`{name}` in {} must have at most {value_length} characters", section.title()),
        ) {
            fine.push((name, value));
        }
    }
    fine
}

/// Fits in a job name with room for the time stamp: SageMaker's `[a-zA-Z0-9](-*[a-zA-Z0-9])*`.
fn is_name(name: &str) -> bool {
    name.len() <= 40
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && name.bytes().next().is_some_and(|byte| byte != b'-')
        && !name.ends_with('-')
}

/// The nearest text that is a name.
fn as_name(text: &str) -> String {
    let dashed: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let words: Vec<&str> = dashed.split('-').filter(|word| !word.is_empty()).collect();
    let mut name = words.join("-");
    name.truncate(40);
    let name = name.trim_end_matches('-');
    if name.is_empty() { "training".to_owned() } else { name.to_owned() }
}

fn name_of(dir: &Path) -> String {
    as_name(&dir.file_name().unwrap_or_default().to_string_lossy())
}

fn is_bucket(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
        && !name.starts_with(['-', '.'])
        && !name.ends_with(['-', '.'])
}

fn is_instance_type(kind: &str) -> bool {
    let parts: Vec<&str> = kind.split('.').collect();
    let word = |part: &&str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    parts.len() == 3 && parts[0] == "ml" && parts.iter().all(word)
}

fn stays_inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

#[cfg(test)]
mod tests {
    use crate::model::Scalar;

    use super::*;

    fn read(text: &str) -> Result<Recipe, Failure> {
        parse(text, Path::new("footplate.toml"), Path::new("/home/u/my_digits"))
    }

    fn mistakes(text: &str) -> Vec<String> {
        read(text).unwrap_err().what.lines().skip(1).map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn an_empty_file_is_all_defaults() {
        let recipe = read("").unwrap();
        assert_eq!(recipe, bare(Path::new("/home/u/my_digits")));
        assert_eq!(recipe.name, "my-digits");
    }

    #[test]
    fn the_documented_file_is_read_as_documented() {
        let text: String = include_str!("project.rs")
            .lines()
            .skip_while(|line| *line != "//! ```toml")
            .skip(1)
            .take_while(|line| *line != "//! ```")
            .flat_map(|line| [line.strip_prefix("//! ").unwrap_or_default(), "\n"])
            .collect();
        let recipe = read(&text).unwrap();
        assert_eq!(recipe.name, "digits");
        assert_eq!(recipe.tags, [("team".to_owned(), "vision".to_owned())]);
        assert_eq!(recipe.hyperparameters, [("epochs".to_owned(), Scalar::Whole(20)), ("lr".to_owned(), Scalar::Number(0.05))]);
        assert_eq!(recipe.channels, [Channel { name: "train".to_owned(), source: "digits.zip".to_owned() }]);
        assert_eq!(recipe.local_python.as_deref(), Some(Path::new("venv/bin/python")));
        // What the documentation shows as defaults are the defaults.
        let defaults = bare(Path::new("/"));
        assert_eq!((recipe.framework_version, recipe.py_version), (defaults.framework_version, defaults.py_version));
        assert_eq!((recipe.instance_type, recipe.max_runtime_seconds), (defaults.instance_type, defaults.max_runtime_seconds));
    }

    #[test]
    fn hyperparameters_keep_their_order_and_their_types() {
        let recipe = read("[training.hyperparameters]\nz = 1\na = \"1\"\nb = true\nm = 1e-5\nbig = 1_000\n").unwrap();
        let expected = [
            ("z", Scalar::Whole(1)),
            ("a", Scalar::Text("1".to_owned())),
            ("b", Scalar::Bool(true)),
            ("m", Scalar::Number(1e-5)),
            ("big", Scalar::Whole(1000)),
        ];
        assert_eq!(recipe.hyperparameters, expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn a_mistyped_key_is_named_with_its_line_and_the_right_one() {
        assert_eq!(
            mistakes(
                "[project]\nname = \"digits\"\n\n[training]\nvolume_gb = 30\ninstance_count = 1\ninstnce_type = \"ml.m5.large\"\n"
            ),
            ["line 7, column 1: unknown key `instnce_type` in [training]; did you mean `instance_type`?"]
        );
    }

    #[test]
    fn all_mistakes_come_at_once() {
        let found = mistakes(
            "[project]\nname = \"my_digits\"\nbucket = \"s3://b/x\"\n[trainig]\n[training]\ninstance_type = \"m5.large\"\ninstance_count = 0\nmax_runtime = \"2 weeks\"\n\
             [training.hyperparameters]\nsizes = [1, 2]\nsagemaker_program = \"x\"\n[[metrics]]\nname = \"loss\"\nregex = 'loss=([0-9'\n[[metrics]]\nregex = 'x'\n[code]\nentry_point = \"../train.py\"\n",
        );
        let expected = [
            "line 2, column 8: `name` in [project] must be 1 to 40 letters, digits and single dashes; write \"my-digits\"",
            "line 3, column 10: `bucket` in [project] must be a bucket's name alone",
            "line 4, column 2: unknown key `trainig` in this file; did you mean `training`?",
            "line 6, column 17: `instance_type` in [training] must be one of SageMaker's instance types",
            "line 7, column 18: `instance_count` in [training] must be from 1 to 1000",
            "line 8, column 15: `max_runtime` in [training] is no length of time",
            "line 10, column 9: `sizes` in [training.hyperparameters] must be text, a finite number, true or false",
            "line 11, column 1: `sagemaker_program` is reserved for SageMaker",
            "line 14, column 9: `regex` in [[metrics]] does not compile: unclosed character class",
            "line 15, column 1: [[metrics]] lacks `name`",
            "line 18, column 15: `entry_point` in [code] must be a path inside source_dir",
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}\n{expected}");
        }
    }

    #[test]
    fn one_mistake_is_told_once() {
        for text in [
            "[training]\nspot = \"yes\"\nmax_wait = \"2h\"\n",
            "[training]\nsubnets = \"subnet-1\"\nsecurity_groups = [\"sg-1\"]\n",
            "[training]\ndistribution = \"mpii\"\nprocesses_per_host = 4\n",
            "[[metrics]]\nname = \"l\"\nregex = '(x)'\n[tuning.ranges]\nlr = { min = 1, max = 0 }\n",
            "[training.hyperparameters]\nnote = \"a\\u202Eb\"\n",
            "training = 3\n",
        ] {
            assert_eq!(mistakes(text).len(), 1, "{text}: {:#?}", mistakes(text));
        }
    }

    #[test]
    fn a_regex_without_a_group_and_look_around_are_refused() {
        assert!(mistakes("[[metrics]]\nname = \"a\"\nregex = 'loss'\n")[0].contains("has no group"));
        assert!(mistakes("[[metrics]]\nname = \"a\"\nregex = '(?=x)(.)'\n")[0].contains("look-around"));
    }

    #[test]
    fn channels_are_named_and_sourced_properly() {
        let found = mistakes("[data]\n\"a b\" = \"x\"\ntrain = 3\nval = \"https://x\"\ntest = \"s3:///x\"\n");
        assert_eq!(found.len(), 4, "{found:#?}");
    }

    #[test]
    fn no_file_says_how_to_make_one_and_the_nearest_is_found() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        let failure = load(&deep).unwrap_err();
        assert_eq!(failure.kind, FailureKind::NotFound);
        assert!(failure.hint.as_str().contains("entry_point"), "{failure}");
        assert_eq!(find(&deep), None);
        std::fs::write(root.path().join(FILE), "").unwrap();
        assert_eq!(find(&deep).as_deref(), Some(root.path()));
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error_with_a_line() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join(FILE), b"[code]\n# \xff\n").unwrap();
        assert!(load(root.path()).unwrap_err().what.as_str().contains("line 2"));
    }
}
