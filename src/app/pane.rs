//! One resource's list: its rows, which of them show, which is selected, and how fresh they are.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::model::{Cell, Clock, Detail, Failure, Item, ItemId, Page, Safe, Series, Spec, State};

/// Rows kept for the next start: what a first frame can use.
const REMEMBERED: usize = 1000;

/// How the rows came to be what they are; each has a look of its own.
#[derive(Clone, Debug, PartialEq)]
pub enum Load {
    /// Nothing known yet, and the question is on its way.
    Loading,
    /// Rows of an earlier run, remembered at that time.
    Remembered(Timestamp),
    /// As of that time.
    Fresh(Timestamp),
    /// The last look failed; rows, if any, are as of `since`.
    Stale { failure: Failure, since: Option<Timestamp> },
}

/// Seconds without an answer after which rows count as old.
const PATIENCE: i64 = 10;

/// What a pane shows besides rows.
#[derive(Clone, Debug)]
pub struct Pane {
    pub spec: &'static Spec,
    /// Containers entered, outermost first.
    pub scope: Vec<ItemId>,
    pub load: Load,
    /// Since when a look has been under way that nothing has come of yet.
    pub asked: Option<Timestamp>,
    /// More history is still being read.
    pub more: bool,
    /// Rows differ from those kept for the next start.
    pub unkept: bool,
    pub filter: String,
    pub sort: (usize, bool),
    pub marks: HashSet<ItemId>,
    /// Details by id, with the time they are of.
    pub details: HashMap<ItemId, (Detail, Timestamp)>,
    /// The way a row's metric came, from logs and details read so far.
    pub trends: HashMap<ItemId, Vec<f64>>,
    /// Curves from logs that were read before.
    pub curves: HashMap<ItemId, Vec<Series>>,
    /// Those of them that are whole: the log was read to its end.
    pub drained: HashSet<ItemId>,
    /// Rows whose detail was asked for, for their curve.
    pub looked: HashSet<ItemId>,
    /// Of rows that are called the same, what of their ids tells them apart.
    pub tails: HashMap<ItemId, Safe>,
    /// First visible row.
    pub top: usize,
    items: Vec<Item>,
    index: HashMap<ItemId, usize>,
    /// What shows, in order: positions in `items`.
    order: Vec<usize>,
    cursor: usize,
    selected: Option<ItemId>,
    /// Lower-case text of each row, made when a filter first needs it.
    haystack: Vec<Option<String>>,
}

impl Pane {
    #[must_use]
    pub fn new(spec: &'static Spec) -> Self {
        Self {
            spec,
            scope: Vec::new(),
            load: Load::Loading,
            asked: None,
            more: false,
            unkept: false,
            filter: String::new(),
            sort: spec.sort,
            marks: HashSet::new(),
            details: HashMap::new(),
            trends: HashMap::new(),
            curves: HashMap::new(),
            drained: HashSet::new(),
            looked: HashSet::new(),
            tails: HashMap::new(),
            top: 0,
            items: Vec::new(),
            index: HashMap::new(),
            order: Vec::new(),
            cursor: 0,
            selected: None,
            haystack: Vec::new(),
        }
    }

    /// How long a look has been without an answer, in seconds, where that is long.
    #[must_use]
    pub fn overdue(&self, now: Timestamp) -> Option<i64> {
        let waited = now.as_second() - self.asked?.as_second();
        (waited > PATIENCE).then_some(waited)
    }

    /// How many rows show, and how many there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.order.len(), self.items.len())
    }

    /// All rows, in no particular order.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The rows in a window of what shows.
    pub fn window(&self, from: usize, count: usize) -> impl Iterator<Item = &Item> {
        self.order.iter().skip(from).take(count).map(|at| &self.items[*at])
    }

    #[must_use]
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    #[must_use]
    pub fn selected(&self) -> Option<&Item> {
        self.selected.as_ref().and_then(|id| self.get(id))
    }

    #[must_use]
    pub fn get(&self, id: &ItemId) -> Option<&Item> {
        self.index.get(id).map(|at| &self.items[*at])
    }

    /// The detail of the selected row, if it has been read.
    #[must_use]
    pub fn detail(&self) -> Option<&Detail> {
        self.selected.as_ref().and_then(|id| self.details.get(id)).map(|(detail, _)| detail)
    }

    /// The marked rows, or else the selected one: what a verb acts on.
    #[must_use]
    pub fn targets(&self) -> Vec<ItemId> {
        if self.marks.is_empty() {
            return self.selected().map(|item| item.id.clone()).into_iter().collect();
        }
        let mut targets: Vec<_> = self.marks.iter().filter(|id| self.index.contains_key(id)).cloned().collect();
        targets.sort();
        targets
    }

    /// How many of these the filter hides.
    #[must_use]
    pub fn hidden(&self, targets: &[ItemId]) -> usize {
        let shown: HashSet<&ItemId> = self.order.iter().map(|at| &self.items[*at].id).collect();
        targets.iter().filter(|id| !shown.contains(id)).count()
    }

    /// Takes in a page: rows are merged by id, and selection, marks and scroll stay. Returns whether anything changed.
    pub fn merge(&mut self, page: Page, clock: &Clock) -> bool {
        let mut changed = self.more != page.more;
        self.more = page.more;
        if page.whole {
            let keep: HashSet<&ItemId> = page.items.iter().map(|item| &item.id).collect();
            let before = self.items.len();
            self.items.retain(|item| keep.contains(&item.id));
            if self.items.len() != before {
                changed = true;
                self.reindex();
            }
        }
        for item in page.items {
            match self.index.get(&item.id) {
                Some(at) if self.items[*at] == item => {}
                Some(at) => {
                    self.haystack[*at] = None;
                    self.items[*at] = item;
                    changed = true;
                }
                None => {
                    self.index.insert(item.id.clone(), self.items.len());
                    self.items.push(item);
                    self.haystack.push(None);
                    changed = true;
                }
            }
        }
        if changed {
            self.unkept = true;
            self.tails = super::twins::tails(&self.items);
            self.arrange(clock);
        }
        changed
    }

    /// The rows worth keeping for the next start: the top of the list, whatever is filtered out for now.
    #[must_use]
    pub fn to_remember(&self) -> Vec<Item> {
        if self.filter.is_empty() {
            self.window(0, REMEMBERED).cloned().collect()
        } else {
            self.items.iter().take(REMEMBERED).cloned().collect()
        }
    }

    /// Forgets all rows, e.g. when another container is entered.
    pub fn clear(&mut self) {
        self.items.clear();
        self.marks.clear();
        self.load = Load::Loading;
        self.asked = None;
        self.selected = None;
        self.cursor = 0;
        self.top = 0;
        self.filter.clear();
        self.reindex();
        self.order.clear();
    }

    fn reindex(&mut self) {
        self.index = self.items.iter().enumerate().map(|(at, item)| (item.id.clone(), at)).collect();
        self.haystack = vec![None; self.items.len()];
        let index = &self.index;
        self.marks.retain(|id| index.contains_key(id));
        self.details.retain(|id, _| index.contains_key(id));
        self.trends.retain(|id, _| index.contains_key(id));
        self.curves.retain(|id, _| index.contains_key(id));
        self.looked.retain(|id| index.contains_key(id));
        self.drained.retain(|id| index.contains_key(id));
    }

    /// Filters and sorts again; the selected row stays selected, or its neighbour takes over.
    pub fn arrange(&mut self, clock: &Clock) {
        let terms: Vec<String> = self.filter.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let mut order: Vec<usize> = (0..self.items.len()).collect();
        if !terms.is_empty() {
            for (hay, item) in self.haystack.iter_mut().zip(&self.items) {
                hay.get_or_insert_with(|| words(item, clock));
            }
            order.retain(|at| self.haystack[*at].as_deref().is_some_and(|hay| terms.iter().all(|term| fits(hay, term))));
        }
        let (column, descending) = self.sort;
        let items = &self.items;
        let mut keyed: Vec<(SortKey, usize)> =
            order.into_iter().map(|at| (SortKey::of(items[at].cells.get(column), clock), at)).collect();
        keyed.sort_by(|(a, at), (b, other)| a.order(b, descending).then_with(|| items[*at].id.cmp(&items[*other].id)));
        let order: Vec<usize> = keyed.into_iter().map(|(_, at)| at).collect();
        self.order = order;
        let found = self.selected.as_ref().and_then(|id| self.order.iter().position(|at| self.items[*at].id == *id));
        self.cursor = found.unwrap_or(self.cursor).min(self.order.len().saturating_sub(1));
        self.selected = self.order.get(self.cursor).map(|at| self.items[*at].id.clone());
    }

    /// Moves the selection to a row, clamped.
    pub fn select(&mut self, row: usize) {
        self.cursor = row.min(self.order.len().saturating_sub(1));
        self.selected = self.order.get(self.cursor).map(|at| self.items[*at].id.clone());
    }

    /// Selects a row by id, also one that has not been listed yet.
    pub fn select_id(&mut self, id: &ItemId, clock: &Clock) {
        self.selected = Some(id.clone());
        if self.index.contains_key(id) {
            if !self.order.iter().any(|at| self.items[*at].id == *id) {
                self.filter.clear();
            }
            self.arrange(clock);
        }
    }

    /// Scrolls so that the selected row is among the `rows` visible ones.
    pub fn reveal(&mut self, rows: usize) {
        if self.cursor < self.top {
            self.top = self.cursor;
        } else if rows > 0 && self.cursor >= self.top + rows {
            self.top = self.cursor + 1 - rows;
        }
        self.top = self.top.min(self.order.len().saturating_sub(rows.max(1)));
    }

    /// Something in it is alive.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.items.iter().any(|item| item.state.phase.is_live())
    }

    /// Marks or unmarks the selected row.
    pub fn toggle_mark(&mut self) {
        if let Some(id) = self.selected.clone()
            && self.index.contains_key(&id)
            && !self.marks.remove(&id)
        {
            self.marks.insert(id);
        }
    }

    /// Marks all that show; none if all of them are marked.
    pub fn toggle_all(&mut self) {
        let shown: Vec<ItemId> = self.order.iter().map(|at| self.items[*at].id.clone()).collect();
        if shown.iter().all(|id| self.marks.contains(id)) {
            self.marks.clear();
        } else {
            self.marks.extend(shown);
        }
    }
}

/// The row as lower-case text, all columns.
fn words(item: &Item, clock: &Clock) -> String {
    let mut text = String::new();
    for cell in &item.cells {
        text.push_str(cell.show(clock).as_str());
        text.push('\u{1f}');
    }
    text.push_str(Safe::line(item.id.as_str()).as_ref());
    text.to_lowercase()
}

fn fits(hay: &str, term: &str) -> bool {
    match term.strip_prefix('!') {
        Some("") => true,
        Some(unwanted) => !hay.contains(unwanted),
        None => hay.contains(term),
    }
}

/// What a row is ordered by: made once for a row, not for every comparison.
enum SortKey {
    Number(f64),
    State(State),
    /// In small letters, as a reader orders words.
    Text(String),
    Absent,
}

impl SortKey {
    fn of(cell: Option<&Cell>, clock: &Clock) -> Self {
        match cell {
            None | Some(Cell::Absent | Cell::Trend { last: None, .. }) => Self::Absent,
            Some(Cell::State(state)) => Self::State(state.clone()),
            Some(cell) => cell.number(clock).map_or_else(|| Self::Text(cell.show(clock).as_str().to_lowercase()), Self::Number),
        }
    }

    /// By value; what is absent comes last whichever way the order goes.
    fn order(&self, other: &Self, descending: bool) -> Ordering {
        let order = match (self, other) {
            (Self::Absent, Self::Absent) => return Ordering::Equal,
            (Self::Absent, _) => return Ordering::Greater,
            (_, Self::Absent) => return Ordering::Less,
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::State(a), Self::State(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            // A column holds one kind of cell; rows of another kind go together.
            (Self::Number(_), _) | (_, Self::Text(_)) => Ordering::Less,
            (_, Self::Number(_)) | (Self::Text(_), _) => Ordering::Greater,
        };
        if descending { order.reverse() } else { order }
    }
}
