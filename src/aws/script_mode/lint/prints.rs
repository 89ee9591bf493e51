//! What a Python script could print, guessed from its text: the string literals with numbers in place of what is filled in.
//! A light look, to warn of a metric regex that nothing can match; it does not run or parse Python.

use std::sync::LazyLock;

use regex::Regex;

/// Stands for every value that is filled in.
const SAMPLE: &str = "0.5";

/// Samples of lines that the script could print.
#[must_use]
pub fn samples(python: &str) -> Vec<String> {
    let mut samples = Vec::new();
    let mut statement: Vec<String> = Vec::new();
    let mut end_of_last = 0;
    for literal in literals(python) {
        // Literals with no full stop of a statement between them may be parts of one line.
        let between = python.get(end_of_last..literal.start).unwrap_or_default();
        if !statement.is_empty() && ends_statement(between) {
            whole(&mut samples, &std::mem::take(&mut statement));
        }
        end_of_last = literal.end;
        let filled = filled(&literal.text, literal.formatted);
        // `print("loss:", loss)`, and what json.dumps and dicts make of a key.
        samples.extend([
            format!("{filled} {SAMPLE}"),
            format!("{filled}{SAMPLE}"),
            format!("{filled}: {SAMPLE}"),
            format!("\"{filled}\": {SAMPLE}, "),
            format!("'{filled}': {SAMPLE}, "),
            filled.clone(),
        ]);
        statement.push(filled);
    }
    whole(&mut samples, &statement);
    samples
}

/// Whether some sample holds what `regex` looks for. `true` for a regex that does not compile: that is said elsewhere.
#[must_use]
pub fn may_match(samples: &[String], regex: &str) -> bool {
    Regex::new(regex).map_or(true, |regex| samples.iter().any(|sample| regex.is_match(sample)))
}

fn whole(samples: &mut Vec<String>, parts: &[String]) {
    if parts.len() > 1 {
        samples.push(parts.concat());
        samples.push(parts.join(&format!(" {SAMPLE} ")) + " " + SAMPLE);
    }
}

/// A line break outside parentheses would be exact; a closing parenthesis before a line break does for a guess.
fn ends_statement(between: &str) -> bool {
    between.contains(")\n") || between.contains(")\r\n") || between.contains("\n\n")
}

struct Literal {
    start: usize,
    end: usize,
    text: String,
    /// Has an `f` before its quotes.
    formatted: bool,
}

/// The string literals, comments left out.
fn literals(python: &str) -> Vec<Literal> {
    let bytes = python.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'#' => at += python[at..].find('\n').unwrap_or(python.len() - at),
            quote @ (b'"' | b'\'') => {
                let before = bytes[at.saturating_sub(2)..at].iter().rev().take_while(|byte| byte.is_ascii_alphabetic());
                let prefix: Vec<u8> = before.map(u8::to_ascii_lowercase).collect();
                let (raw, formatted) = (prefix.contains(&b'r'), prefix.contains(&b'f'));
                let triple = bytes[at..].starts_with(&[quote; 3]);
                let width = if triple { 3 } else { 1 };
                let start = at + width;
                let mut end = start;
                while end < bytes.len() && !bytes[end..].starts_with(&[quote; 3][..width]) && (triple || bytes[end] != b'\n') {
                    end += if bytes[end] == b'\\' { 2 } else { 1 };
                }
                let end = end.min(bytes.len());
                let text = python.get(start..end).unwrap_or_default();
                let text =
                    if raw { text.to_owned() } else { text.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r") };
                found.push(Literal { start: at, end: (end + width).min(bytes.len()), text, formatted });
                at = end + width;
            }
            _ => at += 1,
        }
    }
    // A place inside a character cannot be cut at; such a text is no literal that a regex would look for.
    found.retain(|literal| python.is_char_boundary(literal.start) && python.is_char_boundary(literal.end));
    found
}

/// The literal with its places filled in: `{…}` of f-strings and `str.format`, `%…` of the old way and of logging.
fn filled(text: &str, formatted: bool) -> String {
    static PERCENT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"%(?:\(\w+\))?[-+ #0]*[\d*]*(?:\.[\d*]+)?[diouxXeEfFgGcrs]").ok());
    let braces = without_braces(text);
    match &*PERCENT {
        Some(percent) if !formatted => percent.replace_all(&braces, SAMPLE).replace("%%", "%"),
        _ => braces,
    }
}

/// Braces may be nested (`{x:{width}}`); doubled ones stand for themselves.
fn without_braces(text: &str) -> String {
    let mut out = String::new();
    let mut depth = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' | '}' if depth == 0 && chars.peek() == Some(&c) => {
                chars.next();
                out.push(c);
            }
            '{' => depth += 1,
            '}' if depth == 1 => {
                depth = 0;
                out.push_str(SAMPLE);
            }
            '}' if depth > 1 => depth -= 1,
            _ if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(python: &str, regex: &str) -> bool {
        may_match(&samples(python), regex)
    }

    #[test]
    fn what_scripts_print_is_recognised() {
        let table = [
            (r#"print(f"epoch={epoch} test_loss={loss:.4f}")"#, r"test_loss=([0-9.eE+-]+)"),
            (
                r#"print("Test set: Average loss: {:.4f}, Accuracy: {}/{} ({:.0f}%)\n".format(a, b, c, d))"#,
                r"Average loss: ([0-9.]+)",
            ),
            (r#"logger.info("train loss %.3f" % loss)"#, r"train loss ([0-9.]+)"),
            (r#"print("loss:", loss)"#, r"loss: ([0-9.]+)"),
            ("print('epoch', epoch,\n      'loss', loss)", r"epoch ([0-9.]+) loss"),
            ("print(\"epoch={} \"\n      \"loss={}\".format(e, l))", r"epoch=[0-9.]+ loss=([0-9.]+)"),
            (r#"print(json.dumps({"loss": loss}))"#, r#""loss": ([0-9.]+)"#),
            (r"print('''a {x}''')", r"a ([0-9.]+)"),
            (r#"print(f"{{loss}}={x:{width}}")"#, r"\{loss\}=([0-9.]+)"),
        ];
        for (python, regex) in table {
            assert!(matches(python, regex), "{python} / {regex}: {:?}", samples(python));
        }
    }

    #[test]
    fn what_is_not_printed_is_not_matched() {
        let script = "# loss=0.5\nprint(f'train_loss={loss}')\n\nprint('done')\n";
        assert!(!matches(script, r"val_loss=([0-9.]+)"));
        assert!(!matches(script, r"train_loss: ([0-9.]+)"));
        assert!(!matches(script, r"# loss=([0-9.]+)"));
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(python in any::<String>(), quoted in "[\"'\\\\fé#\\n{}%]{0,40}") {
            prop_assert!(samples(&python).iter().all(|sample| may_match(std::slice::from_ref(sample), "")));
            prop_assert_eq!(samples(&quoted).is_empty(), literals(&quoted).is_empty());
        }
    }
}
