//! What the head of a picture says, without decoding it: format, size in pixels, colours. A picture that lies about itself
//! costs nothing: only the bytes at hand are looked at, each once.

use crate::model::{Cell, Safe};

/// What is known of a picture.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Picture {
    format: &'static str,
    /// In pixels; absent when the head is longer than what was read.
    size: Option<(u32, u32)>,
    /// E.g. `8 bit, RGB`.
    colours: String,
}

impl Picture {
    /// As rows of a detail.
    pub fn facts(&self) -> Vec<(Safe, Cell)> {
        let text = |text: &str| Cell::Text(Safe::line(text));
        let mut facts = vec![("format".into(), text(self.format))];
        facts.push(("pixels".into(), self.size.map_or(Cell::Absent, |(width, height)| text(&format!("{width} x {height}")))));
        if !self.colours.is_empty() {
            facts.push(("colours".into(), text(&self.colours)));
        }
        facts
    }
}

/// Looks at how a file begins; `None` when it is no PNG, JPEG or GIF.
pub(super) fn look(start: &[u8]) -> Option<Picture> {
    png(start).or_else(|| gif(start)).or_else(|| jpeg(start))
}

/// PNG, third edition, sections 5.2 and 11.2.1: signature, then `IHDR`.
fn png(start: &[u8]) -> Option<Picture> {
    let rest = start.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    let head = rest.get(8..18).filter(|_| rest.get(4..8) == Some(b"IHDR"));
    let size = head
        .and_then(|head| Some((u32::from_be_bytes(head[..4].try_into().ok()?), u32::from_be_bytes(head[4..8].try_into().ok()?))));
    let colours = head.map_or_else(String::new, |head| {
        let kind = match head[9] {
            0 => "grey",
            2 => "RGB",
            3 => "palette",
            4 => "grey with alpha",
            6 => "RGB with alpha",
            _ => "unknown colours",
        };
        format!("{} bit, {kind}", head[8])
    });
    Some(Picture { format: "PNG", size, colours })
}

/// `GIF89a`, section 18: the logical screen.
fn gif(start: &[u8]) -> Option<Picture> {
    let rest = start.strip_prefix(b"GIF87a").or_else(|| start.strip_prefix(b"GIF89a"))?;
    let side = |at: usize| Some(u32::from(u16::from_le_bytes(rest.get(at..at + 2)?.try_into().ok()?)));
    let colours = rest.get(4).map_or_else(String::new, |flags| format!("up to {} colours", 2_u32 << (flags & 7)));
    Some(Picture { format: "GIF", size: side(0).zip(side(2)), colours })
}

/// JPEG, ITU T.81 annex B: segments with their lengths up to the frame header (`SOF`).
fn jpeg(start: &[u8]) -> Option<Picture> {
    let mut rest = start.strip_prefix(b"\xff\xd8")?;
    if rest.first() != Some(&0xff) {
        return None;
    }
    let unknown = Picture { format: "JPEG", size: None, colours: String::new() };
    loop {
        // Any number of fill bytes may stand before a marker.
        while rest.len() > 1 && rest[0] == 0xff && rest[1] == 0xff {
            rest = &rest[1..];
        }
        let [0xff, marker, high, low, body @ ..] = rest else { return Some(unknown) };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        match marker {
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let [bits, h1, h0, w1, w0, parts, ..] = body else { return Some(unknown) };
                let side = |high: u8, low: u8| u32::from(u16::from_be_bytes([high, low]));
                let kind = match parts {
                    1 => "grey",
                    3 => "colour",
                    4 => "CMYK",
                    _ => "unknown colours",
                };
                let way = if *marker == 0xc2 { ", progressive" } else { "" };
                return Some(Picture {
                    format: "JPEG",
                    size: Some((side(*w1, *w0), side(*h1, *h0))),
                    colours: format!("{bits} bit, {kind}{way}"),
                });
            }
            // The picture itself has begun, without a frame header; or a length that is none.
            0xda | 0xd9 => return Some(unknown),
            _ if length < 2 => return Some(unknown),
            _ => match body.get(length - 2..) {
                Some(next) => rest = next,
                None => return Some(unknown),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(start: &[u8]) -> Option<String> {
        let picture = look(start)?;
        Some(format!("{} {:?} {}", picture.format, picture.size, picture.colours))
    }

    #[test]
    fn heads_of_pictures_are_read() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x06\0\0\0";
        assert_eq!(said(png).unwrap(), "PNG Some((640, 480)) 8 bit, RGB with alpha");
        assert_eq!(said(b"GIF89a\x0a\0\x05\0\xf7\0\0").unwrap(), "GIF Some((10, 5)) up to 256 colours");
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xdb\0\x03c\xff\xc2\0\x11\x08\0\x40\0\x80\x03rest";
        assert_eq!(said(jpeg).unwrap(), "JPEG Some((128, 64)) 8 bit, colour, progressive");
    }

    #[test]
    fn what_is_cut_or_lies_is_told_as_far_as_it_goes() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff\xff\xff\xff\xff\xff\xff\x10\x07\0\0\0";
        assert_eq!(said(png).unwrap(), "PNG Some((4294967295, 4294967295)) 16 bit, unknown colours");
        assert_eq!(said(b"\x89PNG\r\n\x1a\n\0\0").unwrap(), "PNG None ");
        assert_eq!(said(b"GIF87a\x01").unwrap(), "GIF None ");
        for cut in [
            &b"\xff\xd8\xff"[..],
            b"\xff\xd8\xff\xe0\xff\xff",
            b"\xff\xd8\xff\xe0\0\0",
            b"\xff\xd8\xff\xc0\0\x11\x08",
            b"\xff\xd8\xff\xda\0\x02",
        ] {
            assert_eq!(said(cut).unwrap(), "JPEG None ", "{cut:?}");
        }
        for none in [&b""[..], b"text", b"\xff\xd8", b"\xff\xd8text"] {
            assert_eq!(said(none), None);
        }
    }
}
