//! The numbers of a control sequence.

/// As many as the `vte` crate takes; a sequence with more does nothing.
const MOST: usize = 32;

/// Numbers, at most [`MOST`], none above 65,535. Some belong to the one before them (`38:2:1:2:3`).
#[derive(Clone, Debug, Default)]
pub(super) struct Params {
    values: [u16; MOST],
    /// Bit n: value n belongs to the one before.
    joined: u32,
    len: usize,
    value: u16,
    /// The value that is being read belongs to the one before.
    joins: bool,
}

impl Params {
    pub(super) fn clear(&mut self) {
        self.joined = 0;
        self.len = 0;
        self.value = 0;
        self.joins = false;
    }

    /// False when there is no place for it.
    pub(super) fn digit(&mut self, digit: u8) -> bool {
        self.value = self.value.saturating_mul(10).saturating_add(u16::from(digit));
        self.len < MOST
    }

    /// Ends a value; the next belongs to it, or stands alone. False when there is no place for it.
    pub(super) fn next(&mut self, joins: bool) -> bool {
        if self.len == MOST {
            return false;
        }
        self.values[self.len] = self.value;
        self.joined |= u32::from(self.joins) << self.len;
        self.len += 1;
        self.value = 0;
        self.joins = joins;
        true
    }

    /// Ends the last value. False when there is no place for it.
    pub(super) fn finish(&mut self) -> bool {
        self.next(false)
    }

    /// The values that stand alone or first, each with those that belong to it.
    pub(super) fn groups(&self) -> impl Iterator<Item = &[u16]> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let first = (at < self.len).then_some(at)?;
            at += 1;
            while at < self.len && self.joined >> at & 1 == 1 {
                at += 1;
            }
            Some(&self.values[first..at])
        })
    }

    /// The first of each group.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u16> {
        self.groups().map(|group| group[0])
    }

    /// The nth number; where it is missing or 0, this default.
    pub(super) fn or(&self, nth: usize, default: u16) -> u16 {
        self.numbers().nth(nth).filter(|value| *value != 0).unwrap_or(default)
    }
}
