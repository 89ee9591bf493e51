//! Filter patterns of unstructured logs: terms, `"phrases"`, `?any`, `-not`, `%regex%` (filter pattern syntax
//! documentation of CloudWatch Logs).

use regex::Regex;

use super::super::fault::Fault;

/// A parsed filter pattern; case matters, as in the service.
#[derive(Debug, Default)]
pub struct Pattern {
    all: Vec<Term>,
    any: Vec<Term>,
    none: Vec<Term>,
}

#[derive(Debug)]
enum Term {
    Text(String),
    Regex(Regex),
}

impl Pattern {
    /// Reads a pattern; an empty one matches everything.
    ///
    /// # Errors
    /// `InvalidParameterException` for an unclosed quote, a regex that does not compile, and for JSON (`{ … }`) and
    /// space-delimited (`[ … ]`) patterns, which the local region does not know.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        if text.starts_with('{') || text.starts_with('[') {
            return Err(invalid(
                "The local region knows filter patterns of terms, \"phrases\", ?any, -not and %regex%, not JSON or space-delimited ones",
            ));
        }
        let mut pattern = Self::default();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let target = match first {
                '?' => &mut pattern.any,
                '-' => &mut pattern.none,
                _ => &mut pattern.all,
            };
            if matches!(first, '?' | '-') {
                rest = &rest[1..];
            }
            let (term, tail) = term(rest)?;
            if let Some(term) = term {
                target.push(term);
            }
            rest = tail.trim_start();
        }
        Ok(pattern)
    }

    /// Whether a message passes. Documented: `?` terms count only when there are no plain terms beside them.
    pub fn matches(&self, message: &str) -> bool {
        if self.none.iter().any(|term| term.is_in(message)) || !self.all.iter().all(|term| term.is_in(message)) {
            return false;
        }
        !self.all.is_empty() || self.any.is_empty() || self.any.iter().any(|term| term.is_in(message))
    }
}

impl Term {
    fn is_in(&self, message: &str) -> bool {
        match self {
            Self::Text(text) => message.contains(text.as_str()),
            Self::Regex(regex) => regex.is_match(message),
        }
    }
}

fn term(text: &str) -> Result<(Option<Term>, &str), Fault> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut phrase = String::new();
        let mut characters = quoted.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => return Ok((Some(Term::Text(phrase)), &quoted[at + 1..])),
                '\\' => phrase.extend(characters.next().map(|(_, escaped)| escaped)),
                other => phrase.push(other),
            }
        }
        return Err(invalid("Invalid filter pattern: a quotation mark is not closed"));
    }
    if let Some(inner) = text.strip_prefix('%') {
        let end = inner.find('%').ok_or_else(|| invalid("Invalid filter pattern: a % is not closed"))?;
        let regex =
            Regex::new(&inner[..end]).map_err(|_| invalid("Invalid filter pattern: the regular expression is not valid"))?;
        return Ok((Some(Term::Regex(regex)), &inner[end + 1..]));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    Ok(((!word.is_empty()).then(|| Term::Text(word.to_owned())), rest))
}

fn invalid(message: &str) -> Fault {
    Fault::new("InvalidParameterException", 400, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, message: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(message)
    }

    #[test]
    fn terms_phrases_alternatives_exclusions_and_regexes() {
        let cases = [
            ("", "anything", true),
            ("loss", "loss=0.1", true),
            ("loss", "Loss=0.1", false),
            ("loss acc", "acc 1 loss 2", true),
            ("loss acc", "loss 2", false),
            ("\"loss 2\"", "the loss 2", true),
            ("\"loss 2\"", "2 loss", false),
            ("?ERROR ?WARN", "a WARN", true),
            ("?ERROR ?WARN", "an INFO", false),
            ("ERROR -timeout", "ERROR timeout", false),
            ("ERROR -timeout", "ERROR disk", true),
            ("-\"not this\"", "but not this", false),
            ("%loss=[0-9.]+%", "loss=0.25", true),
            ("%loss=[0-9.]+%", "loss=nan", false),
            ("\"a \\\" b\"", "x a \" b y", true),
        ];
        for (pattern, message, expected) in cases {
            assert_eq!(matches(pattern, message), expected, "{pattern} on {message}");
        }
        for broken in ["\"open", "%open", "%(%", "{ $.a = 1 }", "[a, b]"] {
            assert_eq!(Pattern::parse(broken).unwrap_err().code, "InvalidParameterException", "{broken}");
        }
    }
}
