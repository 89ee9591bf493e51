//! An answer made readable: JSON laid out with its numbers as they came, the class that it names, other bytes as hex.

use serde_json::Value;

/// Numbers of one list that are shown.
const NUMBERS: usize = 12;
/// Members of one list or object that are shown, where they take a line each.
const MEMBERS: usize = 64;
/// Bytes of an answer that is no text that are shown.
const HEX: usize = 256;
/// The longest text that is shown as it is.
const TEXT: usize = 64 << 10;
/// Members under which models put what they give for each class.
const SCORES: [&str; 8] = ["probabilities", "predictions", "prediction", "scores", "logits", "outputs", "output", "score"];

/// An answer for reading, whatever it is.
#[must_use]
pub fn readable(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        Ok("") => "(empty)".to_owned(),
        Ok(text) => pretty(text).unwrap_or_else(|| cut(text)),
        Err(_) => hex(body),
    }
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT);
    if end == text.len() { text.to_owned() } else { format!("{}\n… {} bytes more", &text[..end], text.len() - end) }
}

/// The first bytes in hex and as characters, 16 a line.
fn hex(body: &[u8]) -> String {
    let mut lines: Vec<String> = vec!["not a text; it begins with".to_owned()];
    for (number, row) in body[..body.len().min(HEX)].chunks(16).enumerate() {
        let codes: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown: String = row.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
        lines.push(format!("{:04x}  {:<47}  {shown}", number * 16, codes.join(" ")));
    }
    if body.len() > HEX {
        lines.push(format!("… {} bytes more", body.len() - HEX));
    }
    lines.join("\n")
}

/// JSON as it came: numbers and strings are slices of the text, so that no digit is lost.
enum Json<'a> {
    Plain(&'a str),
    List(Vec<Json<'a>>),
    Object(Vec<(&'a str, Json<'a>)>),
}

/// JSON with a line per member, long lists folded; `None` when it is no JSON.
fn pretty(text: &str) -> Option<String> {
    // From here on the text is sound, and not nested too deep for the reader below.
    serde_json::from_str::<Value>(text).ok()?;
    let mut out = String::new();
    Reader { text, at: 0 }.value().write(0, &mut out);
    Some(out)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Json<'a> {
        match self.next() {
            b'[' => {
                let mut list = Vec::new();
                self.members(b']', |reader| list.push(reader.value()));
                Json::List(list)
            }
            b'{' => {
                let mut object = Vec::new();
                self.members(b'}', |reader| {
                    reader.next();
                    let key = reader.plain();
                    reader.next();
                    reader.at += 1;
                    object.push((key, reader.value()));
                });
                Json::Object(object)
            }
            _ => Json::Plain(self.plain()),
        }
    }

    /// The next byte that is no white space; 0 at the end.
    fn next(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or(0)
    }

    fn members(&mut self, end: u8, mut read: impl FnMut(&mut Self)) {
        self.at += 1;
        loop {
            match self.next() {
                0 => return,
                b',' => self.at += 1,
                byte if byte == end => {
                    self.at += 1;
                    return;
                }
                _ => read(self),
            }
        }
    }

    /// A string with its quotes, a number or a word.
    fn plain(&mut self) -> &'a str {
        let (bytes, start) = (self.text.as_bytes(), self.at);
        if bytes.get(start) == Some(&b'"') {
            self.at += 1;
            while bytes.get(self.at).is_some_and(|byte| *byte != b'"') {
                self.at += if bytes[self.at] == b'\\' { 2 } else { 1 };
            }
            self.at = (self.at + 1).min(bytes.len());
        } else {
            while bytes.get(self.at).is_some_and(|byte| !b",]}: \t\r\n".contains(byte)) {
                self.at += 1;
            }
        }
        &self.text[start..self.at]
    }
}

impl Json<'_> {
    fn write(&self, indent: usize, out: &mut String) {
        match self {
            Self::Plain(text) => out.push_str(text),
            Self::List(list) if list.is_empty() => out.push_str("[]"),
            Self::Object(object) if object.is_empty() => out.push_str("{}"),
            Self::List(list) if list.iter().all(|one| matches!(one, Self::Plain(_))) => {
                out.push('[');
                for (number, one) in list.iter().take(NUMBERS).enumerate() {
                    out.push_str(if number > 0 { ", " } else { "" });
                    one.write(indent, out);
                }
                fold(list.len(), NUMBERS, " ", out);
                out.push(']');
            }
            Self::List(list) => {
                out.push('[');
                for (number, one) in list.iter().take(MEMBERS).enumerate() {
                    line(number, indent + 1, out);
                    one.write(indent + 1, out);
                }
                fold(list.len(), MEMBERS, &format!("\n{}", "  ".repeat(indent + 1)), out);
                line(0, indent, out);
                out.push(']');
            }
            Self::Object(object) => {
                out.push('{');
                for (number, (key, one)) in object.iter().take(MEMBERS).enumerate() {
                    line(number, indent + 1, out);
                    out.push_str(key);
                    out.push_str(": ");
                    one.write(indent + 1, out);
                }
                fold(object.len(), MEMBERS, &format!("\n{}", "  ".repeat(indent + 1)), out);
                line(0, indent, out);
                out.push('}');
            }
        }
    }
}

fn line(number: usize, indent: usize, out: &mut String) {
    out.push_str(if number > 0 { ",\n" } else { "\n" });
    out.push_str(&"  ".repeat(indent));
}

fn fold(count: usize, shown: usize, before: &str, out: &mut String) {
    if count > shown {
        out.extend([",", before, "… ", &(count - shown).to_string(), " more"]);
    }
}

/// What the model holds most likely.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    pub class: String,
    /// 0.0 to 1.0: as the answer says it, or the softmax of what it says.
    pub share: f64,
}

/// The class with the largest score, where the answer has one per class. `Err` says what does not fit.
///
/// # Errors
/// When the answer has another number of scores than there are classes.
pub fn best(body: &[u8], classes: &[String]) -> Result<Option<Best>, String> {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return Ok(None) };
    let Some(scores) = scores(&value) else { return Ok(None) };
    let values: Vec<f64> = scores.iter().map(|(_, score)| *score).collect();
    let Some(at) = (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b])) else { return Ok(None) };
    let own = scores[at].0.clone();
    if !classes.is_empty() && classes.len() != values.len() {
        return Err(format!("the answer has {} scores, but the project names {} classes", values.len(), classes.len()));
    }
    let class = match (own, classes) {
        // Scores under names: the model's own names, unless they are just numbers.
        (Some(name), classes) => name.parse::<usize>().ok().and_then(|number| classes.get(number)).cloned().unwrap_or(name),
        // Without names a list of numbers may be anything.
        (None, []) => return Ok(None),
        (None, classes) => classes[at].clone(),
    };
    Ok(Some(Best { class, share: share(&values, at) }))
}

/// One score per class, with the class's name where the answer has names.
fn scores(value: &Value) -> Option<Vec<(Option<String>, f64)>> {
    match value {
        Value::Array(list) if list.len() == 1 => scores(&list[0]),
        Value::Array(list) if list.len() > 1 => list.iter().map(|one| Some((None, one.as_f64()?))).collect(),
        Value::Object(object) => {
            if let Some(found) = SCORES.iter().find_map(|key| scores(object.get(*key)?)) {
                return Some(found);
            }
            let named: Option<Vec<_>> = object.iter().map(|(name, one)| Some((Some(name.clone()), one.as_f64()?))).collect();
            named.filter(|named| named.len() > 1)
        }
        _ => None,
    }
}

fn share(values: &[f64], at: usize) -> f64 {
    let sum: f64 = values.iter().sum();
    if values.iter().all(|value| (0.0..=1.0).contains(value)) && (sum - 1.0).abs() < 0.01 {
        return values[at];
    }
    1.0 / values.iter().map(|value| (value - values[at]).exp()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_digit_is_lost_and_long_lists_are_folded() {
        let text = r#"{"a":[0.12345678901234567890,1e-400,100000000000000000000],"b":{},"c":[[1,2],[3]],"d":"x\"],{"}"#;
        let shown = readable(text.as_bytes());
        assert!(shown.contains("[0.12345678901234567890, 1e-400, 100000000000000000000]"), "{shown}");
        assert!(shown.contains("\"b\": {},\n  \"c\": [\n    [1, 2],\n    [3]\n  ],\n  \"d\": \"x\\\"],{\"\n}"), "{shown}");
        let long: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        assert!(readable(format!("[{}]", long.join(",")).as_bytes()).ends_with("10, 11, … 988 more]"));
    }

    #[test]
    fn what_is_no_json_is_shown_safely() {
        assert_eq!([readable(b""), readable(b"1,2\n"), readable(b"{\"a\":")], ["(empty)", "1,2\n", "{\"a\":"]);
        let shown = readable(b"\x89PNG\r\n\xff");
        assert!(shown.contains("89 50 4e 47 0d 0a ff") && shown.contains(".PNG..."), "{shown}");
        assert!(readable(&[0xff; 1000]).ends_with("… 744 bytes more"));
        let deep = "[".repeat(100_000);
        assert_eq!(readable(deep.as_bytes()).len(), TEXT + "\n… 34464 bytes more".len());
    }

    proptest! {
        #[test]
        fn laying_out_changes_nothing_but_space(value in json()) {
            let text = value.to_string();
            let shown = pretty(&text).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
        }
    }

    /// Small enough to be shown whole.
    fn json() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from), ".*".prop_map(Value::from)];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn the_best_class_has_its_name_and_share() {
        let classes: Vec<String> = ["cat", "dog", "bird"].map(str::to_owned).to_vec();
        let told = |body: &str, classes: &[String]| {
            let found = best(body.as_bytes(), classes).unwrap();
            found.map(|best| (best.class, (best.share * 100.0).round()))
        };
        let dog = |share: f64| Some(("dog".to_owned(), share));
        assert_eq!(told("[0.1, 0.7, 0.2]", &classes), dog(70.0));
        assert_eq!(told("[[0.1, 0.7, 0.2]]", &classes), dog(70.0));
        assert_eq!(told(r#"{"probabilities": [0.1, 0.7, 0.2]}"#, &classes), dog(70.0));
        assert_eq!(told("[-1000.0, 1000.0, 0]", &classes), dog(100.0));
        assert_eq!(told(r#"{"class": "dog", "probabilities": {"cat": 0.3, "dog": 0.7}}"#, &[]), dog(70.0));
        assert_eq!(told(r#"{"0": 0.1, "1": 0.7, "2": 0.2}"#, &classes), dog(70.0));
        for nothing in ["[0.1, 0.9]", "3", "{}", "[]", "not json", r#"{"a": 1}"#, r#"["a", "b"]"#] {
            assert_eq!(told(nothing, &[]), None, "{nothing}");
        }
        assert!(best(b"[0.1, 0.9]", &classes).unwrap_err().contains("2 scores"));
    }
}
