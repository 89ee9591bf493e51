//! Hyperparameters: SageMaker's map of strings, whose values script mode encodes as JSON (`x` travels as `"x"` with the
//! quotes, 128 as `128`), and the `key = value` lines in which people edit them.

use serde_json::Value;

use crate::model::Scalar;

/// Keys that belong to the machinery, not to the script.
#[must_use]
pub fn is_machinery(key: &str) -> bool {
    key.starts_with("sagemaker_") || key == "_tuning_objective_metric"
}

/// A scalar as the right-hand side of a line; [`encode`] gives back its value.
#[must_use]
pub fn line_of(value: &Scalar) -> String {
    match value {
        Scalar::Bool(value) => value.to_string(),
        Scalar::Whole(value) => value.to_string(),
        Scalar::Number(value) => python_float(*value),
        Scalar::Text(text) => {
            let bare = !text.is_empty()
                && text.trim() == text
                && !text.contains(['\n', '\r'])
                && serde_json::from_str::<Value>(text).is_err();
            if bare && !text.starts_with(['"', '[', '{']) { text.clone() } else { Value::from(text.as_str()).to_string() }
        }
    }
}

/// The right-hand side of a line as it travels: JSON stays as it is, all else is a string.
#[must_use]
pub fn encode(line: &str) -> String {
    let line = line.trim();
    if serde_json::from_str::<Value>(line).is_ok() { line.to_owned() } else { Value::from(line).to_string() }
}

/// A value as it travelled, for reading: the text inside JSON quotes, else as it is (other clients send it bare).
#[must_use]
pub fn decode(raw: &str) -> String {
    match serde_json::from_str::<Value>(raw) {
        Ok(Value::String(text)) => text,
        _ => raw.to_owned(),
    }
}

/// A float as Python's `repr` writes it: `0.1`, `1e-05`, `128.0`; JSON all the same.
fn python_float(value: f64) -> String {
    let size = value.abs();
    if value.is_finite() && size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = value.to_string();
    if text.contains(['.', 'N', 'i']) { text } else { format!("{text}.0") }
}

/// Lines of `key = value`, each with its number; empty lines and `#` comments are skipped. A line without `=` is `Err`.
pub fn lines(text: &str) -> impl Iterator<Item = Result<(&str, &str), (usize, &str)>> {
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#')).map(
        |(number, line)| match line.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => Ok((key.trim(), value.trim())),
            _ => Err((number + 1, line)),
        },
    )
}

/// The well-formed lines, for when [`lines`] has been checked before.
#[must_use]
pub fn pairs(text: &str) -> Vec<(String, String)> {
    lines(text).flatten().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_travel_as_the_sdk_sends_them() {
        let sent = |value: Scalar| encode(&line_of(&value));
        assert_eq!(sent(Scalar::Whole(128)), "128");
        assert_eq!(sent(Scalar::Text("0.002555801302205963".into())), "\"0.002555801302205963\"");
        assert_eq!(sent(Scalar::Text("dog breeds".into())), "\"dog breeds\"");
        assert_eq!(sent(Scalar::Number(1e-5)), "1e-05");
        assert_eq!(sent(Scalar::Number(0.01)), "0.01");
        assert_eq!(sent(Scalar::Number(3.0)), "3.0");
        assert_eq!(sent(Scalar::Number(1e300)), "1e+300");
        assert_eq!(sent(Scalar::Bool(true)), "true");
        assert_eq!(decode("\"x\""), "x");
        assert_eq!(decode("reg:linear"), "reg:linear");
    }

    #[test]
    fn lines_without_an_equals_sign_are_told() {
        let found: Vec<_> = lines("a = 1\n\n# no\nb\n = 3\nc=x=y").collect();
        assert_eq!(found, [Ok(("a", "1")), Err((4, "b")), Err((5, " = 3")), Ok(("c", "x=y"))]);
    }

    proptest! {
        #[test]
        fn text_survives_the_form(text in any::<String>()) {
            let line = line_of(&Scalar::Text(text.clone()));
            prop_assert!(!line.contains('\n'));
            let travelled = encode(&line);
            prop_assert_eq!(serde_json::from_str::<String>(&travelled).unwrap(), text);
        }

        #[test]
        fn numbers_survive_the_form(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            let travelled = encode(&line_of(&Scalar::Number(value)));
            prop_assert_eq!(travelled.parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }
}
