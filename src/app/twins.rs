//! Rows that are called the same: what of their ids tells them apart.

use std::collections::HashMap;

use crate::model::{Cell, Item, ItemId, Safe};

/// The least of an id's end that is shown.
const LEAST: usize = 4;

/// For each row whose name another row has, too, the end of its id, as much of it as is unlike the others'. Rows that are
/// called by their ids need none.
pub fn tails(items: &[Item]) -> HashMap<ItemId, Safe> {
    let mut named: HashMap<&str, Vec<&str>> = HashMap::new();
    for item in items {
        if let Some(Cell::Text(name)) = item.cells.first()
            && !item.id.as_str().contains(name.as_str())
        {
            named.entry(name.as_str()).or_default().push(item.id.as_str());
        }
    }
    let twins = named.into_values().filter(|ids| ids.len() > 1);
    twins.flat_map(|ids| ids.iter().map(|id| (ItemId((*id).to_owned()), tail(id, &ids))).collect::<Vec<_>>()).collect()
}

fn tail(id: &str, all: &[&str]) -> Safe {
    let ends = id.char_indices().rev().map(|(at, _)| &id[at..]);
    let alone = |end: &&str| end.chars().count() >= LEAST && all.iter().filter(|other| other.ends_with(*end)).count() == 1;
    Safe::line(ends.into_iter().find(alone).unwrap_or(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Phase, State};

    fn item(id: &str, name: &str) -> Item {
        let state = State { phase: Phase::Active, word: Safe::line("running") };
        let cells = vec![Cell::Text(Safe::line(name))];
        Item { id: ItemId(id.to_owned()), state, cells, container: false, per_hour: None }
    }

    #[test]
    fn as_much_as_tells_them_apart() {
        let told = tails(&[item("i-0a1234", "try"), item("i-0b1234", "try"), item("i-0c9999", "other"), item("job-1", "job-1")]);
        assert_eq!(told.len(), 2);
        assert_eq!(told[&ItemId("i-0a1234".to_owned())].as_str(), "a1234");
        assert_eq!(tails(&[item("i-0aaaa1", "x"), item("i-0bbbb2", "x")])[&ItemId("i-0aaaa1".to_owned())].as_str(), "aaa1");
    }
}
