//! What scripts fetch from the internet.

use super::code::{Argument, Call, Code};
use super::{Context, Finding, Package, finding};

pub(super) fn check(package: &Package<'_>, context: &Context<'_>, found: &mut Vec<Finding>) {
    for code in &package.codes {
        let serves_its_own = serves_its_own(code);
        for call in code.calls() {
            let Some(what) = fetched(code, &call) else { continue };
            if context.network_isolation {
                found.push(finding("weights-downloaded", code, call.line, &format!(
                    "{what} needs the internet, and the job has none (network isolation): give it as a channel and load it from there"
                )));
            } else if what.contains("weights") && serves_its_own {
                found.push(finding("weights-downloaded-again", code, call.line, &format!(
                    "{what} fetches weights each time the endpoint starts, and load_state_dict puts the trained ones in their place: build the model without"
                )));
            }
        }
    }
}

/// What a call fetches, in the script's own words.
fn fetched(code: &Code<'_>, call: &Call<'_>) -> Option<String> {
    let arguments = code.arguments(call);
    let path = code.path(call);
    if arguments.iter().any(|argument| argument.name == Some("pretrained") && is(argument, "True")) {
        return Some(format!("{path}(pretrained=True): its weights"));
    }
    let of_a_zoo = ["models.", "torchvision.", "applications."].iter().any(|zoo| path.contains(zoo));
    if let Some(weights) = arguments.iter().find(|argument| argument.name == Some("weights"))
        && (of_a_zoo || weights.value.iter().any(|token| token.text.ends_with("_Weights") || token.text == "imagenet"))
        && weights.value.iter().any(|token| token.is_text() || token.text.ends_with("_Weights") || token.text == "DEFAULT")
        && !weights.text().is_some_and(|text| text.contains('/'))
    {
        return Some(format!("{path}(weights=…): its weights"));
    }
    let known = match call.name {
        "urlretrieve"
        | "urlopen"
        | "load_state_dict_from_url"
        | "download_url"
        | "download_and_extract_archive"
        | "snapshot_download" => true,
        "load" | "load_state_dict" => path.contains("hub."),
        "get" => path == "requests.get",
        "from_pretrained" => arguments.first().and_then(Argument::text).is_some_and(|name| !name.starts_with(['/', '.'])),
        _ => arguments.iter().any(|argument| argument.name == Some("download") && is(argument, "True")),
    };
    known.then(|| format!("{path}(…)"))
}

fn is(argument: &Argument<'_, '_>, name: &str) -> bool {
    matches!(argument.value, [token] if token.is(name))
}

/// Whether this is in a script for an endpoint that then loads weights of its own.
fn serves_its_own(code: &Code<'_>) -> bool {
    let serves = code.tokens.windows(2).any(|pair| pair[0].is("def") && pair[1].is("model_fn"));
    serves && code.names.contains("load_state_dict")
}
