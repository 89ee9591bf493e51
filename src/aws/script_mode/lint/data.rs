//! Data that is not what it should be.

use super::{Context, Finding, Package, finding};

pub(super) fn check(package: &Package<'_>, context: &Context<'_>, found: &mut Vec<Finding>) {
    trained_on_test(package, found);
    missing_channels(package, context, found);
}

/// `train_data = ImageFolder(root=test_data_path, …)`
fn trained_on_test(package: &Package<'_>, found: &mut Vec<Finding>) {
    let part = |name: &str, word: &str| name.to_lowercase().split('_').any(|part| part == word);
    for code in &package.codes {
        for call in code.calls().filter(|call| call.name == "ImageFolder" || call.name == "DatasetFolder") {
            let statement = code.of_statement(code.statement_at(call.at));
            let [target, equals, ..] = statement else { continue };
            let is_training = target.is_name() && equals.is("=") && (part(target.text, "train") || part(target.text, "training"));
            let arguments = code.arguments(&call);
            let Some(root) = arguments.iter().find(|argument| argument.name.is_none_or(|name| name == "root")) else { continue };
            let named = |word| root.value.iter().any(|token| part(token.text, word));
            let test = root
                .value
                .iter()
                .any(|token| (token.is_name() && part(token.text, "test")) || (token.is_text() && token.text.ends_with("test")));
            if is_training && test && !named("train") {
                found.push(finding("test-data-trained-on", code, call.line, &format!(
                    "{} is read from the test folder, so the test shows what was learnt by heart: read it from the training folder", target.text
                )));
            }
        }
    }
}

/// `os.environ["SM_CHANNEL_X"]` where the job has no channel X: a `KeyError` as soon as the script starts.
fn missing_channels(package: &Package<'_>, context: &Context<'_>, found: &mut Vec<Finding>) {
    let Some(channels) = context.channels else { return };
    for code in &package.codes {
        for (at, token) in code.tokens.iter().enumerate().skip(2) {
            let Some(channel) = token.text.strip_prefix("SM_CHANNEL_").filter(|_| token.is_text()) else { continue };
            let asked = code.tokens[at - 1].is("[")
                && code.tokens[at - 2].is("environ")
                && code.tokens.get(at + 1).is_some_and(|next| next.is("]"))
                && !code.tokens.get(at + 2).is_some_and(|next| next.is("="));
            let tried = code.around(code.statement_at(at)).any(|around| code.opens(around, "try"));
            if asked && !tried && !channels.iter().any(|known| known.to_uppercase() == channel) {
                let have = if channels.is_empty() { "has none".to_owned() } else { format!("has {}", channels.join(", ")) };
                found.push(finding("channel-missing", code, token.line, &format!(
                    "the script needs a channel '{}' and ends with a KeyError without it; the job {have}: name the channel so in [data]", channel.to_lowercase()
                )));
            }
        }
    }
}
