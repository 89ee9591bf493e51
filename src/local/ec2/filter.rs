//! `Filters`: names with values, `*` and `?` in them (EC2 User Guide, "Filter resources").

use serde_json::Value;

use super::model::MODEL;
use super::wanted::{list, text};
use crate::local::fault::Fault;

/// Finds the values that a filter looks at.
type Found = Box<dyn Fn(&Value) -> Vec<String>>;

/// Most values of a filter (EC2 API Reference, `FilterLimitExceeded`).
const VALUES: usize = 200;

/// The items that pass all filters of a request to an operation of the model.
///
/// # Errors
/// `InvalidParameterValue` for a filter that the operation does not have, `FilterLimitExceeded`.
pub fn pass(operation: &str, request: &Value, mut items: Vec<Value>) -> Result<Vec<Value>, Fault> {
    for filter in list(request, "Filters") {
        let name = text(filter, "Name").unwrap_or("null");
        let values: Vec<&str> = list(filter, "Values").iter().filter_map(Value::as_str).collect();
        if values.len() > VALUES {
            return Err(Fault::new(
                "FilterLimitExceeded",
                400,
                "The maximum number of filter values specified on a single call is 200",
            ));
        }
        let found: Found = if let Some(key) = name.strip_prefix("tag:") {
            let key = key.to_owned();
            Box::new(move |item| tags(item).into_iter().filter(|(name, _)| *name == key).map(|(_, value)| value).collect())
        } else if name == "tag-key" {
            Box::new(|item| tags(item).into_iter().map(|(key, _)| key).collect())
        } else {
            let known = MODEL.operation(operation).and_then(|operation| operation.filters.get(name));
            let Some(path) = known else {
                return Err(Fault::new("InvalidParameterValue", 400, format!("The filter '{name}' is invalid")));
            };
            Box::new(|item| {
                let mut found = Vec::new();
                reach(item, path, &mut found);
                found
            })
        };
        items.retain(|item| found(item).iter().any(|found| values.iter().any(|pattern| matches(pattern, found))));
    }
    Ok(items)
}

/// Whether a text fits a pattern with `*` for any characters, `?` for one, and `\` before one that means itself.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = Vec::new();
    let mut signs = pattern.chars();
    while let Some(sign) = signs.next() {
        parts.push(match sign {
            '*' => Part::Any,
            '?' => Part::One,
            '\\' => Part::This(signs.next().unwrap_or('\\')),
            other => Part::This(other),
        });
    }
    let text: Vec<char> = text.chars().collect();
    // Where the last `*` was, and up to where it reaches: going back there only once per sign keeps hostile patterns cheap.
    let (mut at, mut place, mut star) = (0, 0, None);
    while place < text.len() {
        match parts.get(at) {
            Some(Part::Any) => {
                star = Some((at, place));
                at += 1;
                continue;
            }
            Some(Part::One) => {}
            Some(Part::This(sign)) if *sign == text[place] => {}
            _ => {
                let Some((back, reached)) = star else { return false };
                star = Some((back, reached + 1));
                (at, place) = (back + 1, reached + 1);
                continue;
            }
        }
        at += 1;
        place += 1;
    }
    parts[at.min(parts.len())..].iter().all(|part| matches!(part, Part::Any))
}

enum Part {
    Any,
    One,
    This(char),
}

fn tags(item: &Value) -> Vec<(String, String)> {
    let tags = ["Tags", "TagSet"].into_iter().flat_map(|member| list(item, member));
    tags.map(|tag| (text(tag, "Key").unwrap_or_default().to_owned(), text(tag, "Value").unwrap_or_default().to_owned())).collect()
}

/// Values at a place of an answer: dots go into members, and into all items of lists.
fn reach(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| reach(item, path, found)),
        Value::Object(members) => {
            let (first, rest) = path.split_once('.').unwrap_or((path, ""));
            if let Some(value) = members.get(first) {
                reach(value, rest, found);
            }
        }
        Value::String(text) if path.is_empty() => found.push(text.clone()),
        Value::Bool(_) | Value::Number(_) if path.is_empty() => found.push(value.to_string()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns_match_as_the_service_s() {
        for (pattern, text) in
            [("*", ""), ("a*c", "abbc"), ("?b*", "abc"), ("a\\*", "a*"), ("*(Ubuntu 22.04)*", "x (Ubuntu 22.04) 2025")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a", ""), ("?", ""), ("a*c", "abb"), ("a\\*", "ab"), ("A", "a")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        assert!(!matches(&"*a".repeat(40), &"a".repeat(39)));
    }

    #[test]
    fn filters_look_into_lists() {
        let items = vec![
            json!({"VolumeId": "1", "Size": 8, "Attachments": [{"InstanceId": "x"}, {"InstanceId": "y"}], "Tags": [{"Key": "k", "Value": "v1"}]}),
            json!({"VolumeId": "2", "Size": 9, "Attachments": [], "Encrypted": true}),
        ];
        let pass = |name: &str, values: &[&str]| {
            let request = json!({"Filters": [{"Name": name, "Values": values}]});
            pass("DescribeVolumes", &request, items.clone())
                .map(|items| items.iter().map(|item| item["VolumeId"].as_str().unwrap().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(pass("attachment.instance-id", &["y"]).unwrap(), ["1"]);
        assert_eq!(pass("size", &["8", "9"]).unwrap(), ["1", "2"]);
        assert_eq!(pass("encrypted", &["true"]).unwrap(), ["2"]);
        assert_eq!(pass("tag:k", &["v?"]).unwrap(), ["1"]);
        assert_eq!(pass("tag-key", &["k"]).unwrap(), ["1"]);
        // The service has it, the region's volumes do not.
        assert!(pass("fast-restored", &["true"]).unwrap().is_empty());
        assert_eq!(pass("colour", &["red"]).unwrap_err().message, "The filter 'colour' is invalid");
    }
}
