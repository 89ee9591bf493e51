//! Lengths of time as people write them in forms and files: `90`, `45m`, `2h`, `1d`.

/// `90`, `90s`, `45m`, `2h`, `1d` in seconds; `None` for anything else.
#[must_use]
pub fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].trim() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    digits.trim().parse::<i64>().ok()?.checked_mul(unit)
}

/// The shortest of these ways to write so many seconds: `24h`, `90m`, `100s`. [`seconds`] reads it back.
#[must_use]
pub fn written(seconds: i64) -> String {
    match seconds {
        whole if whole != 0 && whole % 3600 == 0 => format!("{}h", whole / 3600),
        whole if whole != 0 && whole % 60 == 0 => format!("{}m", whole / 60),
        odd => format!("{odd}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_and_written() {
        assert_eq!(["90", "90s", "45m", "2h", "1d"].map(seconds), [Some(90), Some(90), Some(2700), Some(7200), Some(86_400)]);
        assert_eq!(["", "h", "2w", "1.5h", "99999999999999999d"].map(seconds), [None; 5]);
        assert_eq!([86_400, 5400, 1234, 0].map(written), ["24h", "90m", "1234s", "0s"]);
        assert!([86_400, 5400, 1234, 7].iter().all(|length| seconds(&written(*length)) == Some(*length)));
    }
}
