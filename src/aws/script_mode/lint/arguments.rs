//! Hyperparameters and the options that the script knows: SageMaker passes each as `--name value`.

use super::code::{Argument, Call, Code};
use super::{Context, Finding, Package, finding};

/// Names and strings of scripts that read their arguments in some way.
const READERS: &[&str] = &[
    "argv",
    "ArgumentParser",
    "parse_args",
    "parse_known_args",
    "HfArgumentParser",
    "OptionParser",
    "getopt",
    "click",
    "fire",
    "typer",
    "hydra",
    "docopt",
    "absl",
    "jsonargparse",
    "tyro",
    "simple_parsing",
    "LightningCLI",
    "training_env",
    "hyperparameters",
];
const SOURCES: &[&str] = &["SM_HP", "hyperparameters.json", "SM_USER_ARGS", "SM_TRAINING_ENV"];

/// What may follow from parsers that this look does not understand.
const UNCLEAR: &[&str] = &[
    "parse_known_args",
    "parse_known_intermixed_args",
    "add_subparsers",
    "HfArgumentParser",
    "parents",
    "fromfile_prefix_chars",
    "prefix_chars",
    "set_defaults",
];

/// An option of the script.
struct Known<'a> {
    names: Vec<&'a str>,
    required: bool,
    flag: bool,
    line: u32,
}

pub(super) fn check(package: &Package<'_>, context: &Context<'_>, found: &mut Vec<Finding>) {
    type_bool(package, found);
    let Some(hyperparameters) = context.hyperparameters else { return };
    ignored(package, hyperparameters, found);
    let Some((parser, line)) = parser(package) else { return };
    let calls = package.codes.iter().flat_map(|code| added(code).map(move |call| Some((code, known(code, &call)?))));
    // One that is not understood may be any: then nothing is said.
    let Some(options) = calls.collect::<Option<Vec<_>>>() else { return };
    for name in hyperparameters {
        let option = if name.chars().count() == 1 { format!("-{name}") } else { format!("--{name}") };
        match meant(&options, &option) {
            None => found.push(finding("unknown-hyperparameter", parser, line, &format!(
                "the script does not know the option {option} and ends with \"unrecognized arguments\": add it with add_argument, or take {name} out of the hyperparameters"
            ))),
            Some((code, known)) if known.flag => found.push(finding("flag-given-value", code, known.line, &format!(
                "{option} takes no value, and SageMaker always passes one (\"{option} True\"), so the script ends with \"unrecognized arguments\": give it a type instead of an action"
            ))),
            Some(_) => {}
        }
    }
    for (code, known) in options.iter().filter(|(_, known)| known.required) {
        let given = |name: &&str| hyperparameters.iter().any(|key| name.starts_with('-') && name.trim_start_matches('-') == key);
        if !known.names.iter().any(given) {
            let name = known.names.first().unwrap_or(&"");
            found.push(finding("required-argument", code, known.line, &format!(
                "the script ends when {name} is not given, and it is no hyperparameter of this job: add it, or give the option a default"
            )));
        }
    }
}

fn type_bool(package: &Package<'_>, found: &mut Vec<Finding>) {
    for code in &package.codes {
        for call in added(code) {
            if code.arguments(&call).iter().any(|argument| argument.name == Some("type") && is(argument, "bool")) {
                let message = "type=bool takes every text for true, \"False\" as well: write type=lambda text: text == \"True\"";
                found.push(finding("bool-argument", code, call.line, message));
            }
        }
    }
}

fn ignored(package: &Package<'_>, hyperparameters: &[String], found: &mut Vec<Finding>) {
    if !hyperparameters.is_empty() && !package.names(READERS) && !package.says(SOURCES) {
        let names = hyperparameters.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
        found.push(finding(
            "hyperparameters-ignored",
            package.entry(),
            1,
            &format!("the script reads no arguments, so hyperparameters change nothing ({names}): read them with argparse"),
        ));
    }
}

/// The option that the script takes this one for. argparse takes the start of an option for the whole of it.
fn meant<'o, 'c, 'a>(options: &'o [(&'c Code<'a>, Known<'a>)], option: &str) -> Option<&'o (&'c Code<'a>, Known<'a>)> {
    let exact = options.iter().find(|(_, known)| known.names.contains(&option));
    exact
        .or_else(|| options.iter().find(|(_, known)| option.len() > 2 && known.names.iter().any(|name| name.starts_with(option))))
}

/// The calls that add an option to a parser.
fn added<'c, 'a>(code: &'c Code<'a>) -> impl Iterator<Item = Call<'a>> + use<'c, 'a> {
    code.calls().filter(|call| call.name == "add_argument")
}

fn known<'a>(code: &Code<'a>, call: &Call<'_>) -> Option<Known<'a>> {
    let arguments = code.arguments(call);
    let names: Vec<&str> =
        arguments.iter().take_while(|argument| argument.name.is_none()).map(Argument::text).collect::<Option<_>>()?;
    let of = |name: &str| arguments.iter().find(|argument| argument.name == Some(name));
    // `**more` may say anything.
    let first = names.first()?;
    let optional = first.starts_with('-');
    let flag = of("action").is_some_and(|action| match action.text() {
        Some(word) => ["store_true", "store_false", "store_const", "append_const", "count", "help", "version"].contains(&word),
        None => action.value.last().is_some_and(|last| last.is("BooleanOptionalAction")),
    });
    let required = if optional {
        of("required").is_some_and(|required| is(required, "True"))
    } else {
        !of("nargs").is_some_and(|nargs| nargs.text().is_none_or(|count| matches!(count, "?" | "*")))
    };
    Some(Known { names, required, flag, line: call.line })
}

/// Where the command line is parsed, by a parser that refuses what it does not know.
fn parser<'p, 'a>(package: &'p Package<'a>) -> Option<(&'p Code<'a>, u32)> {
    if !package.names(&["ArgumentParser"]) || package.names(UNCLEAR) {
        return None;
    }
    package.codes.iter().find_map(|code| {
        let call = code.calls().find(|call| call.name == "parse_args" && code.arguments(call).is_empty())?;
        Some((code, call.line))
    })
}

fn is(argument: &Argument<'_, '_>, name: &str) -> bool {
    matches!(argument.value, [token] if token.is(name))
}
