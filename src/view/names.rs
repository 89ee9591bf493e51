//! Names of many things beside each other: they share their beginning and differ at their end.

use crate::model::Safe;

/// What tells names apart: each without the beginning that all share, cut where a part of the name ends.
pub fn tails(names: &[&str]) -> Vec<Safe> {
    let Some((first, rest)) = names.split_first() else { return Vec::new() };
    let shared = rest
        .iter()
        .fold(first.len(), |shared, name| first.bytes().zip(name.bytes()).take(shared).take_while(|(a, b)| a == b).count());
    let whole = first.as_bytes()[..shared].iter().rposition(|byte| b"-_./: ".contains(byte)).map_or(0, |at| at + 1);
    let tail = |name: &str| name.get(whole..).filter(|tail| !tail.is_empty()).unwrap_or(name).to_owned();
    names.iter().map(|name| Safe::line(&if names.len() > 1 { tail(name) } else { (*name).to_owned() })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_share_goes() {
        let told = |names: &[&str]| tails(names).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(told(&["algo-1", "algo-2", "algo-10"]), ["1", "2", "10"]);
        assert_eq!(told(&["digits-2026-11-22-13-59", "digits-2026-11-22-14-01"]), ["13-59", "14-01"]);
        assert_eq!(told(&["digits-1", "other"]), ["digits-1", "other"]);
        assert_eq!(told(&["same-1", "same-1"]), ["1", "1"]);
        assert_eq!(told(&["ä-1", "ö-1"]), ["ä-1", "ö-1"]);
        assert_eq!(told(&["one-alone"]), ["one-alone"]);
    }
}
