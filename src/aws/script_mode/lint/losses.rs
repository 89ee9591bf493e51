//! Losses that do not mean what they are taken for, and loops that end too early.

use std::collections::BTreeSet;

use super::code::Code;
use super::tokens::{Kind, Token};
use super::{Context, Finding, Package, finding};

pub(super) fn check(package: &Package<'_>, _: &Context<'_>, found: &mut Vec<Finding>) {
    for code in &package.codes {
        divided_by_batches(code, found);
        rounded_down(code, found);
        cut_short(code, found);
    }
}

/// `total += loss.item() * images.size(0)` in a loop over `loader`, and later `total / len(loader)`.
fn divided_by_batches(code: &Code<'_>, found: &mut Vec<Finding>) {
    let mut sums: BTreeSet<(&str, Option<usize>, String)> = BTreeSet::new();
    for number in 0..code.statements.len() {
        let [name, op, value @ ..] = code.of_statement(number) else { continue };
        if !(name.is_name() && op.is("+=") && is_weighted(value)) {
            continue;
        }
        if let Some(head) = code.around(number).find(|around| code.opens(*around, "for")) {
            sums.insert((name.text, code.function_of(number), iterated(code.of_statement(head))));
        }
    }
    for (at, token) in code.tokens.iter().enumerate() {
        if !(token.is("/") || token.is("//")) {
            continue;
        }
        let Some(name) = divided(code, at) else { continue };
        let [len, open, ..] = &code.tokens[at + 1..] else { continue };
        if !(len.is("len") && open.is("(")) {
            continue;
        }
        let counted = plain(&code.tokens[at + 3..code.tokens[at + 2].partner.max(at + 3)]);
        let function = code.function_of(code.statement_at(at));
        if sums.contains(&(name, function, counted.clone())) {
            found.push(finding("loss-divided-by-batches", code, token.line, &format!(
                "{name} is summed over images and divided by the number of batches, so it grows with the batch size and trials do not compare: divide by len({counted}.dataset)"
            )));
        }
    }
}

/// Whether a mean is multiplied by the size of its batch.
fn is_weighted(value: &[Token<'_>]) -> bool {
    value.iter().any(|token| token.is("*"))
        && value.iter().any(|token| ["size", "len", "shape", "batch_size"].iter().any(|name| token.is(name)))
}

/// What a `for` goes through, out of `enumerate(…)` and `tqdm(…)`.
fn iterated(head: &[Token<'_>]) -> String {
    let start = head.iter().position(|token| token.is("in")).map_or(head.len(), |at| at + 1);
    let end = head.iter().rposition(|token| token.is(":")).unwrap_or(head.len());
    let mut value = head.get(start..end).unwrap_or_default();
    while let [name, open, inside @ ..] = value
        && name.is_name()
        && open.is("(")
        && ["enumerate", "tqdm", "iter", "trange", "track"].contains(&name.text)
    {
        let mut depth = 0;
        let length = inside.iter().position(|token| {
            if ["(", "[", "{"].iter().any(|open| token.is(open)) {
                depth += 1;
            } else if [")", "]", "}"].iter().any(|close| token.is(close)) {
                depth -= 1;
            }
            depth < 0 || (depth == 0 && token.is(","))
        });
        value = &inside[..length.unwrap_or(inside.len())];
    }
    plain(value)
}

fn plain(tokens: &[Token<'_>]) -> String {
    tokens.iter().map(|token| if token.is_text() { format!("'{}'", token.text) } else { token.text.to_owned() }).collect()
}

/// The name before a division, without methods called on it: `a` of `a.double() /`.
fn divided<'a>(code: &Code<'a>, at: usize) -> Option<&'a str> {
    let mut before = at.checked_sub(1)?;
    while code.tokens[before].is(")") {
        // `.name()`
        before = code.tokens[before].partner.checked_sub(3)?;
        if !code.tokens.get(before + 1)?.is(".") {
            return None;
        }
    }
    let token = &code.tokens[before];
    let part = before > 0 && code.tokens[before - 1].is(".");
    (token.is_name() && !part).then_some(token.text)
}

fn rounded_down(code: &Code<'_>, found: &mut Vec<Finding>) {
    for (at, token) in code.tokens.iter().enumerate() {
        if token.is("//")
            && let Some(name) = divided(code, at)
            && name
                .to_lowercase()
                .split('_')
                .any(|part| ["loss", "losses", "acc", "accuracy", "correct", "corrects"].contains(&part))
        {
            found.push(finding(
                "loss-floor-division",
                code,
                token.line,
                &format!("// rounds {name} down to a whole number: divide with /"),
            ));
        }
    }
}

/// `for epoch in range(…): … if epoch == 0: break`
fn cut_short(code: &Code<'_>, found: &mut Vec<Finding>) {
    for number in 0..code.statements.len() {
        let [word, name, equals, zero, colon, rest @ ..] = code.of_statement(number) else { continue };
        if !(word.is("if") && name.is_name() && equals.is("==") && zero.kind == Kind::Number && zero.text == "0" && colon.is(":"))
        {
            continue;
        }
        let leaves = match rest {
            [] => code
                .statements
                .get(number + 1)
                .is_some_and(|next| next.parent == Some(number) && code.tokens[next.from].is("break")),
            [first, ..] => first.is("break"),
        };
        let nearest = code.around(number).find(|around| code.opens(*around, "for") || code.opens(*around, "while"));
        if leaves
            && let Some(head) = nearest
            && let [word, target, within, range, ..] = code.of_statement(head)
            && word.is("for")
            && target.is(name.text)
            && within.is("in")
            && range.is("range")
        {
            found.push(finding(
                "epochs-cut-short",
                code,
                word_line(code, number),
                &format!(
                    "the loop over {} is left in its first pass, whatever its length: remove this when you are done trying out",
                    name.text
                ),
            ));
        }
    }
}

fn word_line(code: &Code<'_>, statement: usize) -> u32 {
    code.of_statement(statement)[0].line
}
