//! A script as the rules look at it: its statements, how they are nested, its calls and their arguments.

use std::collections::BTreeSet;

use super::tokens::{Kind, Token, tokens};

/// One file.
pub struct Code<'a> {
    /// Its path inside the source folder.
    pub file: &'a str,
    pub tokens: Vec<Token<'a>>,
    pub statements: Vec<Statement>,
    /// Every name and keyword in it.
    pub names: BTreeSet<&'a str>,
}

/// A statement: a simple one, or the head of a compound one with what follows its colon on the same line.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    /// Its tokens are `from..to`; it has at least one.
    pub from: usize,
    pub to: usize,
    /// The statement in whose block it stands.
    pub parent: Option<usize>,
}

/// A call.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The last part of what is called: `save` of `torch.save(…)`.
    pub name: &'a str,
    /// The place of that name.
    pub at: usize,
    /// The places of the brackets; equal when the bracket is never closed.
    pub open: usize,
    pub close: usize,
    pub line: u32,
}

/// An argument of a call.
#[derive(Clone, Copy, Debug)]
pub struct Argument<'c, 'a> {
    /// Of `name=value`.
    pub name: Option<&'a str>,
    /// The value's tokens; maybe none.
    pub value: &'c [Token<'a>],
    /// The place of the first of them.
    pub at: usize,
}

impl<'a> Code<'a> {
    #[must_use]
    pub fn of(file: &'a str, python: &'a str) -> Self {
        let tokens = tokens(python);
        let statements = statements(&tokens);
        let names = tokens.iter().filter(|token| token.is_name()).map(|token| token.text).collect();
        Self { file, tokens, statements, names }
    }

    /// The strings of the file.
    pub fn texts(&self) -> impl Iterator<Item = &Token<'a>> {
        self.tokens.iter().filter(|token| token.is_text())
    }

    /// Whether some string holds that text.
    #[must_use]
    pub fn says(&self, text: &str) -> bool {
        self.texts().any(|token| token.text.contains(text))
    }

    /// The tokens of a statement.
    #[must_use]
    pub fn of_statement(&self, number: usize) -> &[Token<'a>] {
        let statement = self.statements[number];
        &self.tokens[statement.from..statement.to]
    }

    /// The statement that a token is part of.
    #[must_use]
    pub fn statement_at(&self, token: usize) -> usize {
        self.statements.partition_point(|statement| statement.from <= token).saturating_sub(1)
    }

    /// The statements around a statement, from the nearest.
    pub fn around(&self, number: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.statements[number].parent, |number| self.statements[*number].parent)
    }

    /// The function in whose body a statement stands.
    #[must_use]
    pub fn function_of(&self, number: usize) -> Option<usize> {
        self.around(number).find(|around| self.opens(*around, "def"))
    }

    /// Whether a statement starts with that keyword (after `async`).
    #[must_use]
    pub fn opens(&self, number: usize, keyword: &str) -> bool {
        let tokens = self.of_statement(number);
        tokens[usize::from(tokens[0].is("async"))..].first().is_some_and(|token| token.is(keyword))
    }

    /// All calls; definitions are none.
    pub fn calls(&self) -> impl Iterator<Item = Call<'a>> {
        self.tokens.windows(2).enumerate().filter_map(|(at, pair)| {
            let defined = at > 0 && (self.tokens[at - 1].is("def") || self.tokens[at - 1].is("class"));
            let open = at + 1;
            (pair[0].is_name() && pair[1].is("(") && !defined).then(|| Call {
                name: pair[0].text,
                at,
                open,
                close: self.tokens[open].partner,
                line: pair[0].line,
            })
        })
    }

    /// What is called, with its dots: `torch.save`; as much as is plain names.
    #[must_use]
    pub fn path(&self, call: &Call<'_>) -> String {
        let mut parts = vec![call.name];
        let mut at = call.at;
        while at >= 2 && self.tokens[at - 1].is(".") && self.tokens[at - 2].is_name() && parts.len() < 8 {
            at -= 2;
            parts.push(self.tokens[at].text);
        }
        parts.reverse();
        parts.join(".")
    }

    /// The arguments of a call.
    #[must_use]
    pub fn arguments(&self, call: &Call<'_>) -> Vec<Argument<'_, 'a>> {
        let mut found = Vec::new();
        let (mut start, mut at) = (call.open + 1, call.open + 1);
        while at <= call.close {
            let token = &self.tokens[at];
            if at == call.close || token.is(",") {
                if start < at {
                    found.push(argument(&self.tokens[start..at], start));
                }
                start = at + 1;
            }
            // Brackets inside are one piece.
            at = if at < call.close { token.partner.max(at) } else { at } + 1;
        }
        found
    }
}

fn argument<'c, 'a>(tokens: &'c [Token<'a>], at: usize) -> Argument<'c, 'a> {
    match tokens {
        [name, equals, value @ ..] if name.is_name() && equals.is("=") => Argument { name: Some(name.text), value, at: at + 2 },
        value => Argument { name: None, value, at },
    }
}

impl<'a> Argument<'_, 'a> {
    /// The value if it is one string.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        match self.value {
            [token] if token.is_text() => Some(token.text),
            _ => None,
        }
    }
}

fn statements(tokens: &[Token<'_>]) -> Vec<Statement> {
    let mut all: Vec<Statement> = Vec::new();
    // The statements that the next one may be in the block of, with their indentation.
    let mut around: Vec<(u32, usize)> = Vec::new();
    let mut line = 0;
    let mut from = 0;
    for (at, token) in tokens.iter().enumerate() {
        if token.kind != Kind::End {
            continue;
        }
        let first = tokens[from];
        // After a semicolon it is in the same block as the statement before it.
        let parent = if first.line == line && !all.is_empty() {
            all[all.len() - 1].parent
        } else {
            around.retain(|(indent, _)| *indent < first.column);
            around.last().map(|(_, number)| *number)
        };
        if first.line != line {
            around.push((first.column, all.len()));
        }
        all.push(Statement { from, to: at, parent });
        line = first.line;
        from = at + 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn statements_know_what_they_stand_in() {
        let code = Code::of("a.py", "def f(x):\n  for i in x:\n    a; b\n  c\nd\n");
        let parents: Vec<_> = code.statements.iter().map(|statement| statement.parent).collect();
        assert_eq!(parents, [None, Some(0), Some(1), Some(1), Some(0), None]);
        assert_eq!(code.around(2).collect::<Vec<_>>(), [1, 0]);
        assert_eq!((code.function_of(3), code.function_of(5)), (Some(0), None));
        assert!(code.opens(1, "for") && !code.opens(2, "for"));
    }

    #[test]
    fn calls_have_paths_and_arguments() {
        let code = Code::of("a.py", "def f(x): torch.save(m.state(1, 2), f='a/b', *[c, d])\n");
        let call = code.calls().find(|call| call.name == "save").unwrap();
        assert_eq!(code.path(&call), "torch.save");
        let arguments = code.arguments(&call);
        assert_eq!(arguments.len(), 3);
        assert_eq!((arguments[1].name, arguments[1].text()), (Some("f"), Some("a/b")));
        assert_eq!(arguments[0].value.len(), 8);
        assert!(code.calls().all(|call| call.name != "f"));
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(python in "[a-c(),=.\\[\\]{}'\"\\n ;:#]{0,80}") {
            let code = Code::of("x", &python);
            for call in code.calls() {
                prop_assert!(code.arguments(&call).iter().all(|argument| code.tokens[argument.at..].starts_with(argument.value)));
            }
            for at in 0..code.tokens.len() {
                let number = code.statement_at(at);
                prop_assert!(code.statements[number].from <= at && code.around(number).all(|around| around < number));
            }
        }
    }
}
