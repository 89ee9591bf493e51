//! What a Python script could print, guessed from its text: the strings of each statement with numbers in place of what is
//! filled in.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::code::Code;
use super::tokens::Kind;

/// Stands for every value that is filled in.
pub const SAMPLE: &str = "0.5";
/// How Python prints a very small number where nothing says how many digits it should have.
pub const SMALL: &str = "1e-05";

/// A line that the script could print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Where the string is that it was guessed from.
    pub line: u32,
    /// The place of that string among the tokens.
    pub at: usize,
    /// With [`SAMPLE`] for each value.
    pub text: String,
    /// With [`SMALL`] for each value that is printed with as many digits as it has.
    pub small: String,
}

/// Samples of lines that the script could print.
#[must_use]
pub fn samples(code: &Code<'_>) -> Vec<Sample> {
    let rounded = rounded(code);
    let mut samples = Vec::new();
    for statement in &code.statements {
        let mut parts: Vec<(String, String)> = Vec::new();
        for at in statement.from..statement.to {
            let token = &code.tokens[at];
            let Kind::Text { raw, formatted } = token.kind else { continue };
            let text = if raw {
                token.text.to_owned()
            } else {
                token.text.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r")
            };
            let (text, small) = (filled(&text, formatted, SAMPLE, &rounded), filled(&text, formatted, SMALL, &rounded));
            // `print("loss:", loss)`, and what json.dumps and dicts make of a key.
            for shape in ["{} #", "{}#", "{}: #", "\"{}\": #, ", "'{}': #, ", "{}"] {
                let fill = |text: &str, value: &str| shape.replace('#', value).replace("{}", text);
                samples.push(Sample { line: token.line, at, text: fill(&text, SAMPLE), small: fill(&small, SMALL) });
            }
            parts.push((text, small));
        }
        // The strings of one statement may be parts of one line.
        if parts.len() > 1 {
            let (line, at) = (code.tokens[statement.from].line, statement.from);
            let (texts, smalls): (Vec<String>, Vec<String>) = parts.into_iter().unzip();
            let joined = |parts: &[String], value: &str| parts.join(&format!(" {value} ")) + " " + value;
            samples.push(Sample { line, at, text: texts.concat(), small: smalls.concat() });
            samples.push(Sample { line, at, text: joined(&texts, SAMPLE), small: joined(&smalls, SMALL) });
        }
    }
    samples
}

/// The names of values that have few digits: `loss = round(loss, 2)`, `n = len(x)`.
fn rounded<'a>(code: &Code<'a>) -> BTreeSet<&'a str> {
    let few = |name: &str| matches!(name, "round" | "int" | "len");
    let starts = code.statements.iter().map(|statement| &code.tokens[statement.from..statement.to]);
    starts
        .filter_map(|tokens| match tokens {
            [name, equals, call, ..] if name.is_name() && equals.is("=") && few(call.text) => Some(name.text),
            _ => None,
        })
        .collect()
}

/// The string with its places filled in: `{…}` of f-strings and `str.format`, `%…` of the old way and of logging.
fn filled(text: &str, formatted: bool, value: &str, rounded: &BTreeSet<&str>) -> String {
    static PERCENT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"%(?:\(\w+\))?[-+ #0]*[\d*]*(?:\.[\d*]+)?([diouxXeEfFgGcrs])").ok());
    let braces = without_braces(text, value, rounded);
    match &*PERCENT {
        Some(percent) if !formatted => percent
            .replace_all(&braces, |place: &regex::Captures<'_>| {
                if matches!(&place[1], "g" | "G" | "e" | "E" | "r" | "s") { value.to_owned() } else { SAMPLE.to_owned() }
            })
            .replace("%%", "%"),
        _ => braces,
    }
}

/// Braces may be nested (`{x:{width}}`); doubled ones stand for themselves.
fn without_braces(text: &str, value: &str, rounded: &BTreeSet<&str>) -> String {
    let mut out = String::new();
    let mut inside = String::new();
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
                out.push_str(if has_few_digits(&inside, rounded) { SAMPLE } else { value });
                inside.clear();
            }
            '}' if depth > 1 => depth -= 1,
            _ if depth == 0 => out.push(c),
            _ => inside.push(c),
        }
    }
    out
}

/// Whether what is in braces says how many digits there are: `{x:.4f}`, `{round(x, 2)}`.
fn has_few_digits(inside: &str, rounded: &BTreeSet<&str>) -> bool {
    let (value, format) = inside.rsplit_once(':').unwrap_or((inside, ""));
    format.ends_with(['f', 'F', 'd', '%', 'n'])
        || ["round(", "int(", "len("].iter().any(|call| value.contains(call))
        || rounded.contains(value.trim())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(python: &str, regex: &str) -> bool {
        let regex = Regex::new(regex).unwrap();
        samples(&Code::of("a.py", python)).iter().any(|sample| regex.is_match(&sample.text))
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
            assert!(matches(python, regex), "{python} / {regex}");
        }
    }

    #[test]
    fn what_is_not_printed_is_not_matched() {
        let script = "# loss=0.5\nprint(f'train_loss={loss}')\n\nprint('done')\n";
        assert!(!matches(script, r"val_loss=([0-9.]+)"));
        assert!(!matches(script, r"train_loss: ([0-9.]+)"));
        assert!(!matches(script, r"# loss=([0-9.]+)"));
    }

    #[test]
    fn small_numbers_show_where_the_digits_are_not_limited() {
        for (python, expected) in [
            ("print(f'a {x}')", "a 1e-05"),
            ("print(f'a {x:.4f} b {x:.3g}')", "a 0.5 b 1e-05"),
            ("print('a %d %s' % y)", "a 0.5 1e-05"),
            ("x = round(y, 2)\nprint(f'a {x}')", "a 0.5"),
            ("print(f'a {round(x, 2)}')", "a 0.5"),
        ] {
            assert!(samples(&Code::of("a.py", python)).iter().any(|sample| sample.small == expected), "{python}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(python in any::<String>(), quoted in "[\"'\\\\fé#\\n{}%]{0,40}") {
            prop_assert!(samples(&Code::of("a.py", &python)).iter().all(|sample| sample.line > 0));
            let code = Code::of("a.py", &quoted);
            prop_assert_eq!(samples(&code).is_empty(), code.texts().next().is_none());
        }
    }
}
