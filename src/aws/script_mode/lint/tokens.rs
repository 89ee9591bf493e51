//! Cuts a Python text into tokens, so that comments and strings are not taken for code. It does not check the text: whatever
//! is not Python gives some tokens, too, in time that grows with its length only. (The Python Language Reference, chapter 2.)

use std::iter::Peekable;
use std::str::CharIndices;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name or a keyword.
    Name,
    Number,
    /// A string; the token's text is what stands between its quotes.
    Text {
        raw: bool,
        formatted: bool,
    },
    Op,
    /// The end of a statement: a line break outside brackets, or a semicolon.
    End,
}

/// A piece of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    /// From 1.
    pub line: u32,
    /// Bytes from the start of its line.
    pub column: u32,
    /// Of a bracket: the place of the other one among the tokens; of all others, and of one that is never closed, its own.
    pub partner: usize,
}

impl Token<'_> {
    /// Whether it is that name, keyword or operator.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Name | Kind::Op) && self.text == text
    }

    /// Whether it is a name (or a keyword).
    #[must_use]
    pub fn is_name(&self) -> bool {
        self.kind == Kind::Name
    }

    /// Whether it is a string.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text { .. })
    }
}

/// Operators of more than one character, longest first.
const LONG: &[&str] = &[
    "**=", "//=", ">>=", "<<=", "...", "==", "!=", "<=", ">=", "->", ":=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "@=",
    "**", "//", "<<", ">>",
];

/// All tokens of a text, in order.
#[must_use]
pub fn tokens(python: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer {
        text: python,
        chars: python.char_indices().peekable(),
        line: 1,
        line_start: 0,
        open: Vec::new(),
        out: Vec::new(),
    };
    while lexer.step() {}
    lexer.end_statement(python.len());
    lexer.out
}

struct Lexer<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    line: u32,
    line_start: usize,
    /// The open brackets, as places in `out`.
    open: Vec<usize>,
    out: Vec<Token<'a>>,
}

impl Lexer<'_> {
    /// Takes one token or what stands between tokens; false at the end.
    fn step(&mut self) -> bool {
        let Some(&(at, c)) = self.chars.peek() else { return false };
        match c {
            '\n' => {
                if self.open.is_empty() {
                    self.end_statement(at);
                }
                self.skip_to(at + 1);
            }
            '\\' => {
                // A backslash joins the next line to this one.
                let rest = &self.text[at + 1..];
                self.skip_to(at + 1 + ["\r\n", "\n"].iter().find(|end| rest.starts_with(**end)).map_or(0, |end| end.len()));
            }
            '#' => self.skip_to(self.text[at..].find('\n').map_or(self.text.len(), |length| at + length)),
            '"' | '\'' => self.string(at, at),
            ';' if self.open.is_empty() => {
                self.end_statement(at);
                self.skip_to(at + 1);
            }
            c if c.is_whitespace() || c == '\u{feff}' => self.skip_to(at + c.len_utf8()),
            c if c.is_ascii_digit() || (c == '.' && self.digit_at(at + 1)) => self.number(at),
            c if c.is_alphanumeric() || c == '_' => self.name(at),
            _ => self.operator(at, c),
        }
        true
    }

    fn digit_at(&self, at: usize) -> bool {
        self.text.as_bytes().get(at).is_some_and(u8::is_ascii_digit)
    }

    fn name(&mut self, at: usize) {
        let rest = &self.text[at..];
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let end = at + length;
        let prefix = length <= 2 && rest[..length].bytes().all(|byte| b"rbuftRBUFT".contains(&byte));
        if prefix && self.text[end..].starts_with(['"', '\'']) {
            self.string(at, end);
        } else {
            self.push(Kind::Name, at, at, end);
            self.skip_to(end);
        }
    }

    fn number(&mut self, at: usize) {
        let bytes = self.text.as_bytes();
        let mut end = at;
        while let Some(&byte) = bytes.get(end) {
            let signed =
                matches!(byte, b'+' | b'-') && matches!(bytes[end - 1], b'e' | b'E') && !self.text[at..].starts_with("0x");
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || (signed && end > at)) {
                break;
            }
            end += 1;
        }
        self.push(Kind::Number, at, at, end);
        self.skip_to(end);
    }

    fn operator(&mut self, at: usize, c: char) {
        let rest = &self.text[at..];
        let length = LONG.iter().find(|op| rest.starts_with(**op)).map_or(c.len_utf8(), |op| op.len());
        let place = self.out.len();
        self.push(Kind::Op, at, at, at + length);
        match c {
            '(' | '[' | '{' => self.open.push(place),
            ')' | ']' | '}' => {
                if let Some(opened) = self.open.pop() {
                    self.out[opened].partner = place;
                    self.out[place].partner = opened;
                }
            }
            _ => {}
        }
        self.skip_to(at + length);
    }

    /// A string whose prefix starts at `at` and whose quotes start at `quote`.
    fn string(&mut self, at: usize, quote: usize) {
        let prefix = self.text[at..quote].to_ascii_lowercase();
        let formatted = prefix.contains(['f', 't']);
        let mark = &self.text[quote..=quote];
        let width = if self.text[quote..].starts_with(&mark.repeat(3)) { 3 } else { 1 };
        let (end, closed) = close(self.text, quote + width, mark.as_bytes()[0], width, formatted);
        self.push(Kind::Text { raw: prefix.contains('r'), formatted }, at, quote + width, end);
        self.skip_to(if closed { end + width } else { end });
    }

    /// `at` is where the token stands, `from..to` its text.
    fn push(&mut self, kind: Kind, at: usize, from: usize, to: usize) {
        let column = u32::try_from(at - self.line_start).unwrap_or(u32::MAX);
        self.out.push(Token { kind, text: &self.text[from..to], line: self.line, column, partner: self.out.len() });
    }

    fn end_statement(&mut self, at: usize) {
        if self.out.last().is_some_and(|last| last.kind != Kind::End) {
            self.push(Kind::End, at.max(self.line_start), at, at);
        }
    }

    fn skip_to(&mut self, end: usize) {
        while let Some((at, c)) = self.chars.next_if(|(at, _)| *at < end) {
            if c == '\n' {
                self.line += 1;
                self.line_start = at + 1;
            }
        }
    }
}

/// Where a string's content ends, and whether quotes are there.
fn close(text: &str, start: usize, mark: u8, width: usize, formatted: bool) -> (usize, bool) {
    let bytes = text.as_bytes();
    let quotes = [mark; 3];
    let mut depth = 0_u32;
    let mut at = start;
    while at < bytes.len() {
        let byte = bytes[at];
        if width == 1 && byte == b'\n' {
            return (at, false);
        }
        let inner = depth > 0 && width == 1 && matches!(byte, b'"' | b'\'');
        match byte {
            // Since Python 3.12 an expression in an f-string may hold strings with the f-string's own quotes.
            _ if inner && let Some(after) = nested(bytes, at, mark) => at = after,
            _ if bytes[at..].starts_with(&quotes[..width]) => return (at, true),
            b'\\' => at += 2,
            b'{' | b'}' if formatted && depth == 0 && bytes.get(at + 1) == Some(&byte) => at += 2,
            b'{' if formatted => (depth, at) = (depth + 1, at + 1),
            b'}' if formatted => (depth, at) = (depth.saturating_sub(1), at + 1),
            _ => at += 1,
        }
    }
    let mut end = bytes.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (end, false)
}

/// The place after a string inside an f-string's braces, if one starts here: its quote comes again, and the braces are closed
/// after it, before the line or (for other quotes than the f-string's own) the f-string ends.
fn nested(bytes: &[u8], at: usize, mark: u8) -> Option<usize> {
    // As far as an expression in braces may be; keeps the whole search linear.
    const FAR: usize = 200;
    let rest = bytes[at + 1..].iter().take(FAR);
    let own = bytes[at] == mark;
    let length = rest.take_while(|byte| **byte != b'\n' && (own || **byte != mark)).position(|byte| *byte == bytes[at])?;
    let after = at + length + 2;
    let closed = bytes[after..].iter().take(FAR).take_while(|byte| **byte != b'\n').any(|byte| *byte == b'}');
    closed.then_some(after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(python: &str) -> Vec<String> {
        let show = |token: &Token| match token.kind {
            Kind::End => "|".to_owned(),
            Kind::Text { .. } => format!("'{}'", token.text),
            _ => token.text.to_owned(),
        };
        tokens(python).iter().map(show).collect()
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        assert_eq!(
            shown("x = 1 # y = 2\nprint('# no', \"a'b\")"),
            ["x", "=", "1", "|", "print", "(", "'# no'", ",", "'a'b'", ")", "|"]
        );
        assert_eq!(shown("'''a\n# b\n'''\nc"), ["'a\n# b\n'", "|", "c", "|"]);
        assert_eq!(shown(r"r'\' ' b''"), [r"'\' '", "''", "|"]);
        assert_eq!(shown("f'a' rb'b' Rb\"c\" fx'd'"), ["'a'", "'b'", "'c'", "fx", "'d'", "|"]);
        assert_eq!(shown("'open\nx"), ["'open'", "|", "x", "|"]);
        assert_eq!(shown("'a\\\nb' x"), ["'a\\\nb'", "x", "|"]);
    }

    #[test]
    fn lines_go_on_in_brackets_and_after_a_backslash() {
        assert_eq!(shown("f(1,\n  2)\nx = \\\n  3; y\n\n"), ["f", "(", "1", ",", "2", ")", "|", "x", "=", "3", "|", "y", "|"]);
        let all = tokens("f(\n[1]\n)\n  g");
        assert_eq!((all[1].partner, all[5].partner, all[2].partner), (5, 1, 4));
        assert_eq!((all[7].line, all[7].column), (4, 2));
    }

    #[test]
    fn numbers_and_operators_are_whole() {
        assert_eq!(
            shown("1e-5-2 .5 0x1e-1 a//=b**2 x->y:=..."),
            ["1e-5", "-", "2", ".5", "0x1e", "-", "1", "a", "//=", "b", "**", "2", "x", "->", "y", ":=", "...", "|"]
        );
    }

    #[test]
    fn strings_in_the_braces_of_a_string() {
        assert_eq!(shown(r#"f"{d["key"]}" + x"#), [r#"'{d["key"]}'"#, "+", "x", "|"]);
        assert_eq!(shown(r#"f"{d['key']}" + x"#), ["'{d['key']}'", "+", "x", "|"]);
        assert_eq!(shown(r#"f"{{" + f"{x:'>9}" + y"#), ["'{{'", "+", "'{x:'>9}'", "+", "y", "|"]);
        assert_eq!(shown("f\"{x\" + y"), ["'{x'", "+", "y", "|"]);
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(python in any::<String>(), quoted in "[\"'\\\\frb#é\\n{}()x ]{0,60}") {
            for text in [python, quoted] {
                let all = tokens(&text);
                prop_assert!(all.iter().enumerate().all(|(at, token)| all[token.partner].partner == at));
                prop_assert!(all.last().is_none_or(|last| last.kind == Kind::End));
            }
        }
    }
}
