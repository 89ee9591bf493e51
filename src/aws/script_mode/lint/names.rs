//! Names that are defined nowhere in their file: a `NameError`, maybe after all the work.

use std::collections::BTreeSet;

use super::code::Code;
use super::tokens::Token;
use super::{Context, Finding, Package, finding};

/// Where a script is so broken that everything is undefined, the first few say enough.
const MOST: usize = 5;

pub(super) fn check(package: &Package<'_>, _: &Context<'_>, found: &mut Vec<Finding>) {
    for code in package.codes.iter().filter(|code| is_plain(code)) {
        let bound = bound(code);
        let mut said = BTreeSet::new();
        for (at, token) in code.tokens.iter().enumerate() {
            if !token.is_name()
                || said.len() == MOST
                || is_part_or_keyword(code, at)
                || bound.contains(token.text)
                || is_built_in(token.text)
            {
                continue;
            }
            if said.insert(token.text) {
                found.push(finding("undefined-name", code, token.line, &format!(
                    "{} is used here and defined nowhere in this file, which ends the script with a NameError: correct the name, or define it first", token.text
                )));
            }
        }
    }
}

/// Whether the names of a file can be told from its text alone, and the text is Python 3.
fn is_plain(code: &Code<'_>) -> bool {
    let dynamic = ["exec", "globals", "locals", "vars", "NameError", "get_ipython", "builtins"]
        .iter()
        .any(|name| code.names.contains(name));
    let stars = (0..code.statements.len())
        .any(|number| code.opens(number, "from") && code.of_statement(number).last().is_some_and(|last| last.is("*")));
    let odd = code.tokens.iter().enumerate().any(|(at, token)| {
        ["!", "?", "$", "`"].iter().any(|mark| token.is(mark))
            || (["(", "[", "{"].iter().any(|open| token.is(open)) && token.partner == at)
    });
    let magic = (0..code.statements.len()).any(|number| code.of_statement(number)[0].is("%"));
    // `print x` and `except E, e` are Python 2's.
    let old = code.tokens.windows(2).any(|pair| pair[0].is("print") && (pair[1].is_text() || pair[1].is_name()))
        || (0..code.statements.len())
            .any(|number| code.opens(number, "except") && code.of_statement(number).get(2).is_some_and(|comma| comma.is(",")));
    !(dynamic || stars || odd || magic || old)
}

/// Attributes, the names of arguments, and keywords.
fn is_part_or_keyword(code: &Code<'_>, at: usize) -> bool {
    let part = at > 0 && code.tokens[at - 1].is(".");
    let argument = code.tokens.get(at + 1).is_some_and(|next| next.is("="));
    part || argument || KEYWORDS.contains(&code.tokens[at].text)
}

/// Every name that something in the file may define, wherever it does.
fn bound<'a>(code: &Code<'a>) -> BTreeSet<&'a str> {
    let mut bound = BTreeSet::new();
    for number in 0..code.statements.len() {
        let tokens = code.of_statement(number);
        // Of a definition, the names in its brackets are parameters (and their types, which does no harm here).
        let head = if code.opens(number, "def") {
            behind_brackets(code, number)
        } else if code.opens(number, "class") {
            code.statements[number].from + 2
        } else if ["import", "from", "global", "nonlocal", "case", "del", "type"].iter().any(|word| code.opens(number, word)) {
            code.statements[number].to
        } else {
            0
        };
        let assigned = last_assignment(code, number);
        for (at, token) in tokens.iter().enumerate() {
            let place = code.statements[number].from + at;
            let next = tokens.get(at + 1);
            let before = assigned.is_some_and(|assigned| place < assigned);
            let annotated = at == 0 && next.is_some_and(|next| next.is(":"));
            let part = at > 0 && tokens[at - 1].is(".");
            if token.is_name() && !part && (place < head || before || annotated || next.is_some_and(|next| next.is(":="))) {
                bound.insert(token.text);
            }
            if token.is_text() {
                // `f"{(name := value)}"`
                let before = token
                    .text
                    .split(":=")
                    .map(|part| part.trim_end().rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next());
                bound.extend(before.flatten().filter(|name| !name.is_empty()));
            }
            if token.is("as") || token.is("for") || token.is("lambda") {
                let end = if token.is("for") { "in" } else { ":" };
                bound.extend(targets(&tokens[at + 1..], end));
            }
        }
    }
    bound
}

/// The place after the parameters of the function that a statement defines.
fn behind_brackets(code: &Code<'_>, number: usize) -> usize {
    let statement = code.statements[number];
    let open = (statement.from..statement.to).find(|at| code.tokens[*at].is("("));
    open.map_or(statement.to, |open| code.tokens[open].partner)
}

/// The place of the last `=` (or `+=` and its like) of a statement that is in no brackets.
fn last_assignment(code: &Code<'_>, number: usize) -> Option<usize> {
    let statement = code.statements[number];
    let (mut at, mut last) = (statement.from, None);
    while at < statement.to {
        let token = &code.tokens[at];
        let assigns = token.text.ends_with('=')
            && !token.is_text()
            && !token.is_name()
            && !["==", "!=", "<=", ">=", ":="].contains(&token.text);
        if assigns {
            last = Some(at);
        }
        at = token.partner.max(at) + 1;
    }
    last
}

/// The names up to `end`, or as far as they may be targets; at most so many that the search stays linear.
fn targets<'a>(tokens: &[Token<'a>], end: &str) -> Vec<&'a str> {
    let until = tokens.iter().take(200).take_while(|token| !token.is(end));
    until.filter(|token| token.is_name()).map(|token| token.text).collect()
}

fn is_built_in(name: &str) -> bool {
    (name.starts_with("__") && name.ends_with("__"))
        || name.ends_with("Error")
        || name.ends_with("Warning")
        || BUILT_IN.contains(&name)
}

const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "case", "class", "continue", "def", "del", "elif",
    "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "match", "nonlocal", "not", "or",
    "pass", "raise", "return", "try", "type", "while", "with", "yield", "_",
];

/// `dir(builtins)` of Python 3.13, exceptions that end in Error or Warning left out, and what older ones had.
const BUILT_IN: &[&str] = &[
    "ArithmeticError",
    "BaseException",
    "BaseExceptionGroup",
    "Ellipsis",
    "Exception",
    "ExceptionGroup",
    "GeneratorExit",
    "KeyboardInterrupt",
    "NotImplemented",
    "StopAsyncIteration",
    "StopIteration",
    "SystemExit",
    "abs",
    "aiter",
    "all",
    "anext",
    "any",
    "ascii",
    "bin",
    "bool",
    "breakpoint",
    "bytearray",
    "bytes",
    "callable",
    "chr",
    "classmethod",
    "compile",
    "complex",
    "copyright",
    "credits",
    "delattr",
    "dict",
    "dir",
    "display",
    "divmod",
    "enumerate",
    "eval",
    "exit",
    "filter",
    "float",
    "format",
    "frozenset",
    "getattr",
    "hasattr",
    "hash",
    "help",
    "hex",
    "id",
    "input",
    "int",
    "isinstance",
    "issubclass",
    "iter",
    "len",
    "license",
    "list",
    "map",
    "max",
    "memoryview",
    "min",
    "next",
    "object",
    "oct",
    "open",
    "ord",
    "pow",
    "print",
    "property",
    "quit",
    "range",
    "repr",
    "reversed",
    "round",
    "set",
    "setattr",
    "slice",
    "sorted",
    "staticmethod",
    "str",
    "sum",
    "super",
    "tuple",
    "xrange",
    "unicode",
    "basestring",
    "long",
    "raw_input",
    "reduce",
    "reload",
    "zip",
    "reveal_type",
];
