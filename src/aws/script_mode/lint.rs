//! Lint of training scripts before they cost money: mistakes that people really make with SageMaker and that their scripts'
//! texts show. A rule says nothing when it is not sure.

mod arguments;
mod code;
mod copies;
mod data;
mod downloads;
mod gpu;
mod imports;
mod losses;
mod metrics;
mod names;
mod outputs;
mod prints;
mod tokens;

use crate::model::{MetricRule, Safe};

use code::Code;

/// Every rule: its id, by which `[lint] silence` in footplate.toml turns it off, and why it is there.
pub const RULES: &[(&str, &str)] = &[
    ("bool-argument", "argparse's type=bool takes every text for true, \"False\" as well"),
    ("channel-missing", "the script needs the variable of a channel that the job does not have"),
    ("early-stopping-without-epoch-metric", "early stopping compares trials epoch by epoch, and the metric comes once"),
    ("epochs-cut-short", "the loop over the epochs is left in its first pass"),
    ("flag-given-value", "the script's option takes no value, and a hyperparameter always brings one"),
    ("gpu-never-used", "a GPU is paid for and the script computes on the CPU"),
    ("hyperparameters-ignored", "the script reads no arguments, so hyperparameters change nothing"),
    ("identical-copies", "several instances train the same model on the same data"),
    ("loss-divided-by-batches", "a loss summed over images and divided by batches grows with the batch size"),
    ("loss-floor-division", "// rounds a loss or an accuracy down to a whole number"),
    ("metric-regex", "nothing that the script prints matches a metric's regex"),
    ("metric-regex-weak", "a metric's regex reads small numbers such as 1e-05 wrongly"),
    ("model-not-kept", "what is not saved in SM_MODEL_DIR is lost when the job ends"),
    ("output-folder-missing", "the script writes into a folder that nothing makes"),
    ("required-argument", "the script needs an option that is no hyperparameter of the job"),
    ("test-data-trained-on", "the training images are read from the test folder"),
    ("undefined-name", "a name is used that is defined nowhere"),
    ("unknown-hyperparameter", "the script ends at once: it does not know an option it is given"),
    ("weights-downloaded", "the script fetches something, and the job has no network"),
    ("weights-downloaded-again", "the endpoint fetches weights at each start and then puts the trained ones in their place"),
];

/// A longer file was not written by hand; it is not looked at, so that a form never waits.
const LONGEST: usize = 256 << 10;

/// A Python file of the source folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its path inside the folder: `train.py`.
    pub name: String,
    pub text: String,
}

/// What the script is to run as. The default is a job of which nothing is known; rules that would need to know are silent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// `ml.g5.xlarge`; an EC2 type (`g5.2xlarge`) for a script that runs outside SageMaker.
    pub instance_type: &'a str,
    pub instance_count: u32,
    /// A launcher that divides the work is configured: torchrun, MPI, SMDDP.
    pub distributed: bool,
    /// Each instance gets all of the data (`FullyReplicated`).
    pub replicated: bool,
    pub network_isolation: bool,
    /// Of a tuning job.
    pub early_stopping: bool,
    pub metrics: &'a [MetricRule],
    /// The metric that a tuning job compares; without one, early stopping is judged by all metrics.
    pub objective: Option<&'a str>,
    /// Names of all hyperparameters that the script gets, static ones and tuned ones, when they are known.
    pub hyperparameters: Option<&'a [String]>,
    /// Names of the job's channels, when they are known.
    pub channels: Option<&'a [String]>,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// One of [`RULES`].
    pub rule: &'static str,
    /// Path inside the source folder.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// What and why, with the remedy; one line.
    pub message: Safe,
}

/// Looks at one file by itself. Where the script imports files of its own, [`lint_package`] sees more and errs less.
#[must_use]
pub fn lint(file: &str, script: &str, context: &Context<'_>) -> Vec<Finding> {
    lint_package(&[Source { name: file.to_owned(), text: script.to_owned() }], file, context)
}

/// Looks at the script `entry_point` and at those of the other files that it imports. Sorted by file and line, the script first.
#[must_use]
pub fn lint_package(sources: &[Source], entry_point: &str, context: &Context<'_>) -> Vec<Finding> {
    let package = Package { codes: imports::reachable(sources, entry_point), sources };
    if package.codes.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for rules in [
        arguments::check,
        copies::check,
        data::check,
        downloads::check,
        gpu::check,
        losses::check,
        metrics::check,
        names::check,
        outputs::check,
    ] {
        rules(&package, context, &mut found);
    }
    let place = |finding: &Finding| package.codes.iter().position(|code| code.file == finding.file);
    found.sort_by_key(|finding| (place(finding), finding.line, finding.rule));
    found.dedup();
    found
}

/// The modules that a script imports at its start and that may be missing: `torch`, `torchvision`. Not those of Python's
/// standard library.
#[must_use]
pub fn missing_modules(script: &str) -> Vec<String> {
    let source = Source { name: "script.py".to_owned(), text: script.to_owned() };
    missing_modules_of(&[source], "script.py")
}

/// The same for a script and the files of its own that it imports.
#[must_use]
pub fn missing_modules_of(sources: &[Source], entry_point: &str) -> Vec<String> {
    imports::outside(&imports::reachable(sources, entry_point))
}

/// The files that take part in a run, the script first.
struct Package<'a> {
    codes: Vec<Code<'a>>,
    /// All files of the folder.
    sources: &'a [Source],
}

impl<'a> Package<'a> {
    fn entry(&self) -> &Code<'a> {
        &self.codes[0]
    }

    /// Whether any of these names stands in the code.
    fn names(&self, wanted: &[&str]) -> bool {
        self.codes.iter().any(|code| wanted.iter().any(|name| code.names.contains(name)))
    }

    /// Whether any string holds one of these texts.
    fn says(&self, wanted: &[&str]) -> bool {
        self.codes.iter().any(|code| wanted.iter().any(|text| code.says(text)))
    }

    /// Whether any file imports a module of that name, or one below it.
    fn imports(&self, wanted: &[&str]) -> bool {
        self.codes.iter().flat_map(imports::all).any(|module| wanted.contains(&module.split('.').next().unwrap_or_default()))
    }

    /// The file and line of the first call of that name.
    fn first_call(&self, name: &str) -> Option<(&Code<'a>, u32)> {
        self.codes.iter().find_map(|code| Some((code, code.calls().find(|call| call.name == name)?.line)))
    }
}

fn finding(rule: &'static str, code: &Code<'_>, line: u32, message: &str) -> Finding {
    debug_assert!(RULES.iter().any(|(id, _)| *id == rule), "{rule} is in the list");
    Finding { rule, file: code.file.to_owned(), line, message: Safe::line(message) }
}
