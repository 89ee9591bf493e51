//! Text in columns of a terminal: how wide it is, and where it is broken. Drawing and scrolling must agree on both.

use unicode_width::UnicodeWidthStr;

use super::Safe;

/// Terminal columns a text takes.
#[must_use]
pub fn columns(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}

/// Breaks a text into lines of at most `width` columns, between words where it can.
#[must_use]
pub fn wrap(text: &Safe, width: u16) -> Vec<Safe> {
    let mut out = Vec::new();
    for paragraph in text.lines() {
        let indent = paragraph.len() - paragraph.trim_start_matches(' ').len();
        let mut line = " ".repeat(indent.min(usize::from(width / 2)));
        let mut fresh = true;
        for word in paragraph[indent..].split(' ') {
            if !fresh && columns(&line) + 1 + columns(word) > width {
                out.push(Safe::line(&line));
                line.clear();
            } else if !fresh {
                line.push(' ');
            }
            fresh = false;
            line.push_str(word);
            while columns(&line) > width && width > 0 {
                let cut = line
                    .char_indices()
                    .take_while(|(at, c)| columns(&line[..at + c.len_utf8()]) <= width)
                    .last()
                    .map_or(line.len(), |(at, c)| at + c.len_utf8());
                let rest = line.split_off(cut.max(1).min(line.len()));
                out.push(Safe::line(&line));
                line = rest;
            }
        }
        out.push(Safe::line(&line));
    }
    if out.is_empty() {
        out.push(Safe::default());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_loses_nothing_but_spaces() {
        let text: Safe = "a long sentence with anunbreakablewordinside and an end".into();
        let lines = wrap(&text, 10);
        assert!(lines.iter().all(|line| columns(line.as_str()) <= 10), "{lines:?}");
        let joined: String = lines.iter().map(|line| line.as_str().replace(' ', "")).collect();
        assert_eq!(joined, text.as_str().replace(' ', ""));
    }
}
