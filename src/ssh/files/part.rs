//! What a file is called while it is on its way: `NAME.STATE.part`, where the state is size and time of change of what it is a
//! copy of, both in hexadecimal: `model.2a00-65a1b2c3.part`.
//!
//! A long name is cut, and has a hash of the whole one behind it: `BEGINNING~0123456789abcdef.STATE.part`. So a part has room
//! wherever its file has.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

/// Bytes of a name that is not cut. With state and ending it stays below 143 bytes, which is what file systems take that
/// encrypt names (eCryptfs); all others take more.
const WHOLE: usize = 95;
/// Digits of the hash.
const HASH: usize = 16;
/// Digits of the two halves of a state: 64 bits each, and nanoseconds.
const SIZE: usize = 16;
const TIME: usize = 24;

/// The name of the part of a file in this state.
pub(super) fn of(name: &str, state: &str) -> String {
    format!("{}.{state}.part", stem(name))
}

/// What the names of all parts of a file begin with.
pub(super) fn stem(name: &str) -> Cow<'_, str> {
    if name.len() <= WHOLE {
        return Cow::Borrowed(name);
    }
    let kept = name.floor_char_boundary(WHOLE - HASH - 1);
    let hash = hex::encode(Sha256::digest(name.as_bytes()));
    Cow::Owned(format!("{}~{}", name.get(..kept).unwrap_or_default(), hash.get(..HASH).unwrap_or_default()))
}

/// Stem and state, if a file with this name can be a part.
pub(super) fn parse(name: &str) -> Option<(&str, &str)> {
    let (stem, state) = name.strip_suffix(".part")?.rsplit_once('.')?;
    let (size, time) = state.split_once('-')?;
    let is_number = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
    };
    (!stem.is_empty() && is_number(size, SIZE) && is_number(time, TIME)).then_some((stem, state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_tells_of_what_it_is_one_and_always_fits() {
        assert_eq!(of("model", "2a-1f"), "model.2a-1f.part");
        assert_eq!(parse("a.b.2a-1f.part"), Some(("a.b", "2a-1f")));
        for other in
            ["model.part", "model.2a.part", "model.2A-1f.part", "model.-1.part", "model.1-.part", ".1-2.part", "a.1-2.parts"]
        {
            assert_eq!(parse(other), None, "{other}");
        }
        let state = format!("{:x}-{:x}{:08x}", u64::MAX, i64::MIN, 999_999_999);
        for long in ["x".repeat(96), "x".repeat(255), "漢".repeat(85), format!("a{}", "漢".repeat(84))] {
            let part = of(&long, &state);
            assert!(part.len() <= 143, "{} bytes: {part}", part.len());
            assert_eq!(parse(&part), Some((stem(&long).as_ref(), state.as_str())));
        }
        assert_ne!(stem(&format!("{}a", "x".repeat(200))), stem(&format!("{}b", "x".repeat(200))));
    }
}
