//! How a cell reads: the one place that turns values into words, for the screen, the filter and the command line.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Cell, Safe};

/// What it takes to say a time: when now is, and where the user is. Handed in, so that the core reads no clock.
#[derive(Clone, Debug)]
pub struct Clock {
    pub now: Timestamp,
    pub zone: TimeZone,
}

impl Default for Clock {
    fn default() -> Self {
        Self { now: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC }
    }
}

impl Cell {
    /// The cell in words, short enough for a table.
    #[must_use]
    pub fn show(&self, clock: &Clock) -> Safe {
        match self {
            Self::Absent | Self::Trend { last: None, .. } => "–".into(),
            Self::Text(text) => text.clone(),
            Self::State(state) => state.word.clone(),
            Self::Time(at) => moment(*at, clock).into(),
            Self::Seconds(seconds) => span(*seconds).into(),
            Self::Since(start) => span(seconds_between(*start, clock.now)).into(),
            Self::Number(number) | Self::Trend { last: Some(number), .. } => decimal(*number).into(),
            Self::Count(count) => grouped(*count).into(),
            Self::Bytes(bytes) => size(*bytes).into(),
            Self::Share(share) => format!("{:.0} %", share * 100.0).into(),
            Self::Money(dollars) => money(*dollars).into(),
            Self::Accrues { .. } => money(self.number(clock).unwrap_or(0.0)).into(),
            Self::Spent { least, .. } => {
                let dollars = self.number(clock).unwrap_or(0.0);
                // At least less than a cent would say nothing.
                if *least {
                    format!("{}+", money(if dollars < 0.005 { 0.0 } else { dollars })).into()
                } else {
                    money(dollars).into()
                }
            }
        }
    }

    /// The cell as a number to sort by, where it is one.
    #[must_use]
    pub fn number(&self, clock: &Clock) -> Option<f64> {
        match self {
            Self::Absent | Self::Text(_) | Self::State(_) | Self::Trend { last: None, .. } => None,
            #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 and sizes in use stay far below 2^53")]
            Self::Time(at) => Some(at.as_millisecond() as f64),
            Self::Seconds(value)
            | Self::Number(value)
            | Self::Trend { last: Some(value), .. }
            | Self::Share(value)
            | Self::Money(value) => Some(*value),
            Self::Since(start) => Some(seconds_between(*start, clock.now)),
            #[expect(clippy::cast_precision_loss, reason = "see above")]
            Self::Count(value) | Self::Bytes(value) => Some(*value as f64),
            Self::Accrues { since, per_hour } => Some(seconds_between(*since, clock.now) * per_hour / 3600.0),
            Self::Spent { before, since, per_hour, .. } => {
                let running = since.map_or(0.0, |since| seconds_between(since, clock.now));
                Some(before + running * per_hour / 3600.0)
            }
        }
    }

    /// Changes by itself as time goes by.
    #[must_use]
    pub fn ticks(&self) -> bool {
        matches!(self, Self::Since(_) | Self::Accrues { .. } | Self::Spent { since: Some(_), .. })
    }
}

/// Seconds from one time to another, never negative.
#[must_use]
pub fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    (to.duration_since(from).as_secs_f64()).max(0.0)
}

/// `00:41`, `12:03`, `1:02:03`, `3 d 04 h`.
#[must_use]
pub fn span(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
    let whole = seconds.clamp(0.0, 4e9) as u64;
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes:02}:{seconds:02}"),
        (0, _) => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => format!("{days} d {hours:02} h"),
    }
}

/// `14:03` today, `yesterday`, `Nov 20`, `2025-11-20`; what is still to come to the minute: `tomorrow 02:14`, `Nov 25 02:14`.
#[must_use]
pub fn moment(at: Timestamp, clock: &Clock) -> String {
    let then = at.to_zoned(clock.zone.clone());
    let now = clock.now.to_zoned(clock.zone.clone());
    if then.date() == now.date() {
        return then.strftime("%H:%M").to_string();
    }
    if now.date().yesterday().is_ok_and(|day| day == then.date()) {
        return "yesterday".to_owned();
    }
    if at > clock.now {
        let tomorrow = now.date().tomorrow().is_ok_and(|day| day == then.date());
        return then.strftime(if tomorrow { "tomorrow %H:%M" } else { "%b %d %H:%M" }).to_string();
    }
    let format = if then.year() == now.year() { "%b %d" } else { "%Y-%m-%d" };
    then.strftime(format).to_string()
}

/// A number with as many digits as tell something: `0.4118`, `167`, `1.2e-05`.
#[must_use]
pub fn decimal(number: f64) -> String {
    let size = number.abs();
    if number == 0.0 || !number.is_finite() {
        return if number == 0.0 { "0".to_owned() } else { number.to_string() };
    }
    if !(1e-4..1e7).contains(&size) {
        return format!("{number:.2e}");
    }
    let digits = if size >= 1000.0 {
        0
    } else if size >= 100.0 {
        1
    } else if size >= 10.0 {
        2
    } else if size >= 1.0 {
        3
    } else {
        4
    };
    format!("{number:.digits$}")
}

/// A text in which numbers with many digits have four that count, for where there is no room for all of them:
/// `lr=0.002555801302205963` as `lr=0.002556`.
#[must_use]
pub fn fewer_digits(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let (number, after) = from.split_at(from.find(|c| !is_part(c)).unwrap_or(from.len()));
        // Digits within a word are a name, as in `0e6f4f4a`.
        let alone = !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric);
        out.push_str(before);
        match number.parse::<f64>() {
            Ok(value) if alone && number.contains('.') && number.len() > 6 && value >= 1e-4 => {
                #[expect(clippy::cast_possible_truncation, reason = "an order of magnitude")]
                let order = value.log10().floor() as i32;
                let short = format!("{value:.*}", usize::try_from(3 - order).unwrap_or(0));
                out.push_str(&short);
            }
            _ => out.push_str(number),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// `$0.10`, `$12.40`, `$1,204`; a fraction of a cent as `<$0.01`.
#[must_use]
pub fn money(dollars: f64) -> String {
    if dollars > 0.0 && dollars < 0.005 {
        return "<$0.01".to_owned();
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "amounts of money here are small and positive")]
    if dollars >= 1000.0 { format!("${}", grouped(dollars.round() as u64)) } else { format!("${dollars:.2}") }
}

/// `1,437`
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `812 B`, `1.4 MB`; powers of 1000, as S3's console and disks count.
#[must_use]
pub fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB", "PB"] {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if unit == "B" || value >= 99.95 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_well() {
        assert_eq!([span(41.9), span(723.0), span(3723.0), span(273_600.0)], ["00:41", "12:03", "1:02:03", "3 d 04 h"]);
        assert_eq!(
            [decimal(0.41184), decimal(2045.0), decimal(0.000_012), decimal(-1.5)],
            ["0.4118", "2045", "1.20e-5", "-1.500"]
        );
        assert_eq!([money(0.0), money(0.001), money(0.104), money(1204.4)], ["$0.00", "<$0.01", "$0.10", "$1,204"]);
        assert_eq!([size(812), size(1_400_000), size(999_950), size(125_000)], ["812 B", "1.4 MB", "1.0 MB", "125 kB"]);
    }

    #[test]
    fn numbers_lose_digits_before_words_are_cut() {
        let table = [
            ("batch=16 lr=0.02547167454271716", "batch=16 lr=0.02547"),
            ("a=0.002555801302205963 b=12.3456789", "a=0.002556 b=12.35"),
            (
                "0e6f4f4a.5 1.5 x0.123456789 v1.2.3 1234567 0.00001234567",
                "0e6f4f4a.5 1.5 x0.123456789 v1.2.3 1234567 0.00001234567",
            ),
            ("ä0.12345678 0.9999999", "ä0.12345678 1.0000"),
        ];
        for (text, fewer) in table {
            assert_eq!(fewer_digits(text), fewer);
        }
    }

    #[test]
    fn times_shrink_to_what_matters() {
        let clock = Clock { now: "2026-11-22T14:03:00Z".parse().expect("a time"), zone: TimeZone::UTC };
        let at = |text: &str| moment(text.parse().expect("a time"), &clock);
        assert_eq!(
            [at("2026-11-22T09:05:00Z"), at("2026-11-21T23:59:00Z"), at("2026-03-20T00:00:00Z"), at("2023-03-20T00:00:00Z")],
            ["09:05", "yesterday", "Mar 20", "2023-03-20"]
        );
        // What is still to come is to be waited for: to the minute.
        assert_eq!(
            [at("2026-11-22T18:05:00Z"), at("2026-11-23T02:14:00Z"), at("2026-11-25T02:14:00Z")],
            ["18:05", "tomorrow 02:14", "Nov 25 02:14"]
        );
    }
}
