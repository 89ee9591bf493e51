//! Whose turn it is to be looked at closely: a list is cheap to read, its entries one by one are not.

use std::cmp::Reverse;
use std::collections::HashMap;

use jiff::Timestamp;

/// What is listed, as far as turns go.
pub(super) struct Listed<'a> {
    pub name: &'a str,
    pub live: bool,
    pub created: Option<Timestamp>,
}

/// The next `most` of them. Half of the turns go to what lives, longest not looked at first (`looked`: the poll at which each
/// was last looked at); the rest to what never was, newest first. What the one half has no use for the other one has.
pub(super) fn next<'a>(all: impl Iterator<Item = Listed<'a>>, looked: &HashMap<String, u64>, most: usize) -> Vec<String> {
    let (mut live, rest): (Vec<_>, Vec<_>) = all.partition(|one| one.live);
    live.sort_by_key(|one| (looked.get(one.name), Reverse(one.created)));
    let mut new: Vec<_> = rest.into_iter().filter(|one| !looked.contains_key(one.name)).collect();
    new.sort_by_key(|one| Reverse(one.created));
    let for_live = live.len().min(most - new.len().min(most / 2));
    live.into_iter().take(for_live).chain(new.into_iter().take(most - for_live)).map(|one| one.name.to_owned()).collect()
}
