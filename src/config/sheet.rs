//! A TOML file while it is read, and all that is wrong with it.
//!
//! Serde stops at the first mistake and knows no remedy; a user fixing a file wants all of them, each with its line. So the
//! readers of our files walk the parsed table and note findings on the way; [`Sheet::finish`] turns them into one failure.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::Read as _;
use std::ops::{Range, RangeInclusive};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::suggest;
use crate::model::length::seconds;
use crate::model::{Failure, FailureKind, Safe, Scalar};

/// No file of ours is larger; a bigger one is some other file.
const LARGEST: u64 = 1 << 20;

/// Reads a file of ours: UTF-8 text of at most 1 MiB. `None` when there is no such file.
///
/// # Errors
/// When the file is there but cannot be read, is too large or not text.
pub fn read(path: &Path) -> Result<Option<String>, Failure> {
    let failed = |what: String| {
        Failure::new(
            FailureKind::Invalid,
            format!("cannot read {}: {what}", path.display()),
            "Make it a text file that you can read.",
        )
    };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(failed("it is larger than 1 MiB".to_owned()));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => {
            let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count();
            Err(failed(format!("line {line} is not UTF-8 text")))
        }
    }
}

/// The text and the findings so far.
pub struct Sheet<'t> {
    text: &'t str,
    findings: RefCell<Vec<(usize, String)>>,
}

impl<'t> Sheet<'t> {
    #[must_use]
    pub fn new(text: &'t str) -> Self {
        Self { text, findings: RefCell::default() }
    }

    /// Parses the text. Syntax errors become findings; then the table holds what could be understood and is not worth
    /// checking further.
    pub fn parse(&self) -> Option<DeTable<'t>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        let errors: Vec<(usize, String)> =
            errors.iter().map(|error| (error.span().unwrap_or(0..0).start, error.message().to_owned())).collect();
        for (at, message) in first_causes(self.text, &errors) {
            self.note(at..at, message);
        }
        errors.is_empty().then(|| table.into_inner())
    }

    /// Notes a finding at a place in the text.
    pub fn note(&self, span: Range<usize>, message: impl Into<String>) {
        self.findings.borrow_mut().push((span.start, message.into()));
    }

    /// All findings as one failure, in the order of the file.
    ///
    /// # Errors
    /// When there is any finding.
    pub fn finish(self, path: &Path) -> Result<(), Failure> {
        let mut findings = self.findings.into_inner();
        if findings.is_empty() {
            return Ok(());
        }
        findings.sort();
        findings.dedup();
        let count = if findings.len() == 1 { "1 mistake".to_owned() } else { format!("{} mistakes", findings.len()) };
        let mut what = format!("{}: {count}", path.display());
        for (at, message) in &findings {
            let (line, column) = place(self.text, *at);
            let _ = write!(what, "\n  line {line}, column {column}: {message}");
        }
        Err(Failure::new(FailureKind::Invalid, what, "Correct the file and try again; nothing was done."))
    }

    /// The top of the file.
    pub fn top<'s>(&'s self, table: &'s DeTable<'t>) -> Section<'s, 't> {
        Section { sheet: self, name: String::new(), span: 0..0, table: Some(table), known: RefCell::default() }
    }
}

/// Of a parser's errors those that are mistakes, without what only follows from them: one a line, and where something is
/// not closed, that alone for all the lines that it swallows.
fn first_causes(text: &str, errors: &[(usize, String)]) -> Vec<(usize, String)> {
    let mut sorted = errors.to_vec();
    sorted.sort_by_key(|(at, _)| *at);
    let line = |error: &(usize, String)| place(text, error.0).0;
    let mut causes = Vec::new();
    for run in sorted.chunk_by(|a, b| line(b) - line(a) <= 1) {
        match run.iter().find(|(_, message)| message.starts_with("unclosed")) {
            Some((_, message)) => causes.extend(run.first().map(|(at, _)| (*at, message.clone()))),
            None => causes.extend(run.chunk_by(|a, b| line(a) == line(b)).filter_map(|same| same.first().cloned())),
        }
    }
    causes
}

/// Line and column, from 1, in characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

/// One table of the file. Asking for a key makes it known; [`Section::close`] reports the keys nobody asked for.
pub struct Section<'s, 't> {
    sheet: &'s Sheet<'t>,
    /// `training.environment`; empty at the top.
    name: String,
    span: Range<usize>,
    /// Absent when the file does not have it.
    table: Option<&'s DeTable<'t>>,
    known: RefCell<Vec<&'static str>>,
}

impl<'s, 't> Section<'s, 't> {
    /// Reports every key that is not known.
    pub fn close(&self) {
        let known = self.known.borrow();
        for (key, _) in self.table.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                self.sheet.note(key.span(), format!("unknown key `{name}` in {}; {}", self.title(), suggest(name, &known)));
            }
        }
    }

    /// Text of one line. An empty one is a mistake: leaving the key out is how to say nothing.
    pub fn text(&self, key: &'static str) -> Option<String> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::String(text) if text.trim().is_empty() => {
                self.complain(key, value, "is empty; write a value or remove the line")
            }
            DeValue::String(text) if unseen(text, false).is_some() => {
                self.note_unseen(key, value.span(), text, false);
                None
            }
            DeValue::String(text) => Some(text.to_string()),
            other => self.mistyped(key, value, "text in quotes", other),
        }
    }

    /// A whole number in a range.
    pub fn whole(&self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let value = self.value(key)?;
        let DeValue::Integer(_) = value.get_ref() else {
            return self.mistyped(key, value, "a whole number", value.get_ref());
        };
        match integer(value.get_ref()).filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => self.complain(key, value, &format!("must be from {} to {}", range.start(), range.end())),
        }
    }

    /// A number in a range.
    pub fn number(&self, key: &'static str, range: RangeInclusive<f64>) -> Option<f64> {
        let value = self.value(key)?;
        let found = match value.get_ref() {
            #[allow(clippy::cast_precision_loss)] // Settings are small numbers.
            whole @ DeValue::Integer(_) => integer(whole).map(|number| number as f64),
            DeValue::Float(float) => float.as_str().replace('_', "").parse().ok(),
            other => return self.mistyped(key, value, "a number", other),
        };
        match found.filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => self.complain(key, value, &format!("must be from {} to {}", range.start(), range.end())),
        }
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            other => self.mistyped(key, value, "true or false", other),
        }
    }

    /// One of a few words.
    pub fn one_of(&self, key: &'static str, words: &[&str]) -> Option<String> {
        let word = self.text(key)?;
        if words.contains(&word.as_str()) {
            return Some(word);
        }
        self.wrong(key, &format!("must be one of: {}", words.join(", ")));
        None
    }

    /// A list of texts.
    pub fn list(&self, key: &'static str) -> Option<Vec<String>> {
        let value = self.value(key)?;
        let DeValue::Array(array) = value.get_ref() else {
            return self.mistyped(key, value, "a list of texts, for instance [\"a\", \"b\"]", value.get_ref());
        };
        let mut texts = Vec::new();
        for part in array {
            match part.get_ref() {
                DeValue::String(text) if !text.trim().is_empty() => texts.push(text.to_string()),
                _ => self.sheet.note(part.span(), format!("`{key}` in {} must hold texts in quotes only", self.title())),
            }
        }
        Some(texts)
    }

    /// Whether the key holds a list.
    #[must_use]
    pub fn is_list(&self, key: &str) -> bool {
        self.table.and_then(|table| table.get(key)).is_some_and(|value| matches!(value.get_ref(), DeValue::Array(_)))
    }

    /// Text, number or boolean.
    pub fn scalar(&self, key: &'static str) -> Option<Scalar> {
        let value = self.value(key)?;
        let found = scalar(value.get_ref());
        if found.is_none() {
            self.wrong(key, "must be text, a finite number, true or false");
        }
        found
    }

    /// The names of a table whose keys are the user's own, in the order of the file.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<_> =
            self.table.into_iter().flatten().map(|(key, _)| (key.span().start, key.get_ref().to_string())).collect();
        keys.sort();
        keys.into_iter().map(|(_, key)| key).collect()
    }

    /// The list of scalars under one of the user's own keys; `None` when it is no list.
    pub fn scalar_list(&self, key: &str) -> Option<Vec<Scalar>> {
        let value = self.table?.get(key)?;
        let DeValue::Array(array) = value.get_ref() else { return None };
        let parts = array.iter().filter_map(|part| {
            let found = scalar(part.get_ref());
            if found.is_none() {
                self.sheet.note(part.span(), format!("`{key}` in {} must hold texts and numbers only", self.title()));
            }
            found
        });
        Some(parts.collect())
    }

    /// The table under one of the user's own keys.
    #[must_use]
    pub fn table_of(&self, key: &str) -> Option<Section<'s, 't>> {
        let value = self.table?.get(key)?;
        let DeValue::Table(table) = value.get_ref() else { return None };
        let name = self.path(key);
        Some(Section { sheet: self.sheet, name, span: value.span(), table: Some(table), known: RefCell::default() })
    }

    /// Where a key's value stands in the text.
    #[must_use]
    pub fn place_of(&self, key: &str) -> Range<usize> {
        self.table.and_then(|table| table.get(key)).map_or(self.span.clone(), Spanned::span)
    }

    /// A length of time in seconds: a whole number of seconds, or text like `"90m"`, `"2h"`, `"1d"`.
    pub fn seconds(&self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let value = self.value(key)?;
        let found = match value.get_ref() {
            whole @ DeValue::Integer(_) => integer(whole),
            DeValue::String(text) => seconds(text),
            other => return self.mistyped(key, value, "seconds as a number, or text like \"2h\"", other),
        };
        match found {
            Some(number) if range.contains(&number) => Some(number),
            Some(_) => self.complain(key, value, &format!("must be from {} s to {} days", range.start(), range.end() / 86_400)),
            None => {
                self.complain(key, value, "is no length of time; write seconds as a number, or text like \"90m\", \"2h\", \"1d\"")
            }
        }
    }

    /// A table inside this one; an empty one when the file does not have it.
    #[must_use]
    pub fn section(&self, key: &'static str) -> Section<'s, 't> {
        let name = self.path(key);
        let empty = |span| Section { sheet: self.sheet, name: name.clone(), span, table: None, known: RefCell::default() };
        let Some(value) = self.value(key) else { return empty(self.span.clone()) };
        let DeValue::Table(table) = value.get_ref() else {
            self.sheet.note(value.span(), format!("`{key}` must be a section: write it as [{name}] with a line for each key"));
            return empty(value.span());
        };
        Section { table: Some(table), ..empty(value.span()) }
    }

    /// The tables of an array of tables (`[[metrics]]`).
    pub fn sections(&self, key: &'static str) -> Vec<Section<'s, 't>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let wrong =
            |span| self.sheet.note(span, format!("`{key}` must be a list of sections: write [[{}]] above each", self.path(key)));
        let DeValue::Array(array) = value.get_ref() else {
            wrong(value.span());
            return Vec::new();
        };
        let mut sections = Vec::new();
        for value in array {
            match value.get_ref() {
                DeValue::Table(table) => sections.push(Section {
                    sheet: self.sheet,
                    name: format!("[{}]", self.path(key)),
                    span: value.span(),
                    table: Some(table),
                    known: RefCell::default(),
                }),
                _ => wrong(value.span()),
            }
        }
        sections
    }

    /// All entries of a table whose keys are the user's own, in the order of the file; values that are no text, number or
    /// boolean are findings.
    pub fn scalars(&self) -> Vec<(String, Range<usize>, Scalar)> {
        let mut found = Vec::new();
        for (key, value) in self.table.into_iter().flatten() {
            let name = key.get_ref().to_string();
            if unseen(&name, false).is_some() {
                self.note_unseen(&name, key.span(), &name, false);
                continue;
            }
            match scalar(value.get_ref()) {
                Some(Scalar::Text(text)) if unseen(&text, true).is_some() => self.note_unseen(&name, value.span(), &text, true),
                Some(scalar) => found.push((name, key.span(), scalar)),
                None => self.sheet.note(
                    value.span(),
                    format!(
                        "`{name}` in {} must be text, a finite number, true or false; put anything else in quotes",
                        self.title()
                    ),
                ),
            }
        }
        found.sort_by_key(|(_, span, _)| span.start);
        found
    }

    /// As [`Section::scalars`], where only text of one line will do.
    pub fn texts(&self) -> Vec<(String, Range<usize>, String)> {
        let mut found = Vec::new();
        for (name, span, scalar) in self.scalars() {
            match scalar {
                Scalar::Text(text) if text.contains(['\n', '\t', '\r']) => self.note_unseen(&name, span, &text, false),
                Scalar::Text(text) => found.push((name, span, text)),
                _ => self.sheet.note(span, format!("`{name}` in {} must be text in quotes", self.title())),
            }
        }
        found
    }

    /// Notes a finding about the value of a key.
    pub fn wrong(&self, key: &str, message: &str) {
        self.sheet.note(self.place_of(key), format!("`{key}` in {} {message}", self.title()));
    }

    /// Notes a finding at a place, as it reads.
    pub fn note(&self, span: Range<usize>, message: impl Into<String>) {
        self.sheet.note(span, message);
    }

    /// Whether the file has that key.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Where the table stands in the text.
    #[must_use]
    pub fn place(&self) -> Range<usize> {
        self.span.clone()
    }

    /// `[training]`, as the file writes it.
    #[must_use]
    pub fn title(&self) -> String {
        if self.name.is_empty() { "this file".to_owned() } else { format!("[{}]", self.name) }
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn value(&self, key: &'static str) -> Option<&'s Spanned<DeValue<'t>>> {
        self.known.borrow_mut().push(key);
        self.table?.get(key)
    }

    /// Says what a text has that nobody sees. Forms and logs show it as something else, which is what would be sent then.
    fn note_unseen(&self, key: &str, span: Range<usize>, text: &str, lines: bool) {
        if let Some(c) = unseen(text, lines) {
            let (key, code) = (Safe::line(key), u32::from(c));
            let what = format!("`{key}` in {} holds a character that cannot be seen (U+{code:04X}); remove it", self.title());
            self.sheet.note(span, what);
        }
    }

    fn complain<T>(&self, key: &str, value: &Spanned<DeValue>, message: &str) -> Option<T> {
        self.sheet.note(value.span(), format!("`{key}` in {} {message}", self.title()));
        None
    }

    fn mistyped<T>(&self, key: &str, value: &Spanned<DeValue>, wanted: &str, found: &DeValue) -> Option<T> {
        let found = match found {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a section",
        };
        self.complain(key, value, &format!("must be {wanted}, not {found}"))
    }
}

/// The first character that [`Safe`] would replace or drop: a control character, one that changes the direction of writing,
/// one without width. With `lines`, ends of lines and tabs are none of them.
fn unseen(text: &str, lines: bool) -> Option<char> {
    let fine = |c: &char| lines && matches!(c, '\n' | '\r' | '\t');
    let shown = |c: char| {
        let mut buffer = [0; 4];
        let alone = c.encode_utf8(&mut buffer);
        Safe::line(alone).as_str() == alone
    };
    text.chars().find(|c| !fine(c) && !shown(*c))
}

fn scalar(value: &DeValue) -> Option<Scalar> {
    match value {
        DeValue::String(text) => Some(Scalar::Text(text.to_string())),
        DeValue::Boolean(flag) => Some(Scalar::Bool(*flag)),
        whole @ DeValue::Integer(_) => integer(whole).map(Scalar::Whole),
        DeValue::Float(float) => {
            float.as_str().replace('_', "").parse().ok().filter(|float: &f64| float.is_finite()).map(Scalar::Number)
        }
        _ => None,
    }
}

fn integer(value: &DeValue) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_from_one() {
        assert_eq!(place("a = 1\né = 2\n", 0), (1, 1));
        assert_eq!(place("a = 1\né = 2\n", 9), (2, 3));
        assert_eq!(place("", 99), (1, 1));
    }

    #[test]
    fn every_kind_of_mistake_is_found_in_one_go() {
        let text = "a = 1\nb = \"\"\nc = 3.5\nd = [1]\nwrog = 1\n[e]\nx = 1979-05-27\n";
        let sheet = Sheet::new(text);
        let table = sheet.parse().unwrap();
        let top = sheet.top(&table);
        assert_eq!(top.text("a"), None);
        assert_eq!(top.text("b"), None);
        assert_eq!(top.whole("c", 0..=9), None);
        assert_eq!(top.flag("d"), None);
        assert_eq!(top.flag("wrong"), None);
        assert!(top.section("e").scalars().is_empty());
        top.close();
        let failure = sheet.finish(Path::new("f.toml")).unwrap_err();
        let lines: Vec<_> = failure.what.lines().collect();
        assert_eq!(
            lines,
            [
                "f.toml: 6 mistakes",
                "  line 1, column 5: `a` in this file must be text in quotes, not a whole number",
                "  line 2, column 5: `b` in this file is empty; write a value or remove the line",
                "  line 3, column 5: `c` in this file must be a whole number, not a number with a fraction",
                "  line 4, column 5: `d` in this file must be true or false, not a list",
                "  line 5, column 1: unknown key `wrog` in this file; did you mean `wrong`?",
                "  line 7, column 5: `x` in [e] must be text, a finite number, true or false; put anything else in quotes",
            ]
        );
    }

    #[test]
    fn what_cannot_be_seen_is_named_with_its_key() {
        let text = "a = \"x\\u202Ey\"\n[e]\nb = \"\\u0007\"\nc = \"two\\nlines\\t\"\n\"d\\u200B\" = 1\n[f]\ng = \"two\\nlines\"\nh = \"über\"\n";
        let sheet = Sheet::new(text);
        let table = sheet.parse().unwrap();
        let top = sheet.top(&table);
        assert_eq!(top.text("a"), None);
        top.section("e").scalars();
        assert_eq!(top.section("f").texts().len(), 1);
        let failure = sheet.finish(Path::new("f.toml")).unwrap_err();
        let said = failure.what.as_str();
        for part in ["`a` in this file", "U+202E", "`b` in [e]", "U+0007", "U+200B", "`g` in [f]", "U+000A"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }

    #[test]
    fn one_broken_line_is_one_mistake() {
        for text in [
            "[training]\ninstance_type = \n",
            "[training]\ninstance_type = ml.m5.large\n",
            "[training\ninstance_count = 1\n",
            "a = \"x\n",
            "a = 1\na = 2\n",
            "a = [1, 2\n",
            "[[metrics]]\nregex = \"\\d\"\n",
            "a = [1, 2\nb = 3\n",
            "a = [1, 2\nb = 3\nc = 4\n[d]\ne = [5]\n",
            "a = 'x\nb = 1\n",
            "key\n",
            "= 3\n",
            "a = 1 2\n",
            "[a]\n[a]\n",
            "a = tru\n",
            "a == 1\n",
            "x = { a = 1\nb = 2\n",
            "a = 1.\n",
            "a = 01\n",
            "[a]]\n",
            "a = \"\"\"x\n",
            "a b = 1\n",
            "a = 24h\n",
            "a = m5.large, 3\n",
        ] {
            let sheet = Sheet::new(text);
            sheet.parse();
            let failure = sheet.finish(Path::new("f.toml")).unwrap_err();
            assert_eq!(failure.what.lines().count(), 2, "{text:?}: {}", failure.what);
        }
    }

    #[test]
    fn broken_syntax_says_where() {
        let sheet = Sheet::new("[training]\ninstance_type = \n");
        assert!(sheet.parse().is_none());
        let failure = sheet.finish(Path::new("f.toml")).unwrap_err();
        assert!(failure.what.as_str().contains("line 2, column 1"), "{failure}");
        assert_eq!(failure.exit_code(), 2);
    }
}
