//! Cells as text for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::model::Cell;

/// A cell as it is printed. `now` is for what is still running.
#[must_use]
pub fn text(cell: &Cell, now: Timestamp) -> String {
    match cell {
        Cell::Absent => "-".to_owned(),
        Cell::Text(text) => text.as_str().to_owned(),
        Cell::State(state) => state.word.as_str().to_owned(),
        Cell::Time(at) => time(*at),
        Cell::Seconds(seconds) => length(*seconds),
        Cell::Since(since) => length(hours_since(*since, now) * 3600.0),
        Cell::Number(number) => format!("{number}"),
        Cell::Count(count) => count.to_string(),
        Cell::Bytes(bytes) => size(*bytes),
        Cell::Share(share) => format!("{:.0} %", share * 100.0),
        Cell::Money(dollars) => money(*dollars),
        Cell::Accrues { since, per_hour } => money(hours_since(*since, now) * per_hour),
        Cell::Trend { last, .. } => format!("{last}"),
    }
}

/// Numbers and times line up on the right.
#[must_use]
pub fn is_numeric(cell: &Cell) -> bool {
    !matches!(cell, Cell::Absent | Cell::Text(_) | Cell::State(_) | Cell::Time(_))
}

/// A moment in the user's time zone.
#[must_use]
pub fn time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn hours_since(since: Timestamp, now: Timestamp) -> f64 {
    now.duration_since(since).as_secs_f64().max(0.0) / 3600.0
}

/// A length of time, its two largest units.
#[must_use]
pub fn length(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Saturating, and negative lengths are none.
    let whole = seconds.max(0.0).round() as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    match whole {
        0..60 => format!("{whole}s"),
        60..3600 => format!("{minutes}m {:02}s", whole % 60),
        3600..86_400 => format!("{hours}h {minutes:02}m"),
        _ => format!("{days}d {hours:02}h"),
    }
}

/// Bytes in the unit that reads best.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    #[allow(clippy::cast_precision_loss)] // Three digits are shown.
    let mut amount = bytes as f64;
    let mut shown = format!("{bytes} B");
    for unit in UNITS {
        if amount < 1024.0 {
            break;
        }
        amount /= 1024.0;
        shown = format!("{amount:.1} {unit}");
    }
    shown
}

fn money(dollars: f64) -> String {
    if dollars != 0.0 && dollars.abs() < 0.1 { format!("${dollars:.4}") } else { format!("${dollars:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_sizes_read_well() {
        assert_eq!([5.0, 65.0, 3_725.0, 90_000.0].map(length), ["5s", "1m 05s", "1h 02m", "1d 01h"]);
        assert_eq!([0, 1023, 1536, 5 << 30].map(size), ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
    }

    #[test]
    fn what_runs_grows_with_now() {
        let since = Timestamp::from_second(1_000_000).unwrap();
        let now = Timestamp::from_second(1_007_200).unwrap();
        assert_eq!(text(&Cell::Since(since), now), "2h 00m");
        assert_eq!(text(&Cell::Accrues { since, per_hour: 1.5 }, now), "$3.00");
        assert_eq!(text(&Cell::Since(now), since), "0s", "a clock that went back is no negative time");
    }
}
