//! Reading what a request wants: members of the input, which the model has typed already; and pages of what it gets.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::local::fault::Fault;

/// A text that is not empty.
#[must_use]
pub fn text<'a>(input: &'a Value, member: &str) -> Option<&'a str> {
    input.get(member).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A whole number.
#[must_use]
pub fn number(input: &Value, member: &str) -> Option<i64> {
    input.get(member).and_then(Value::as_i64)
}

/// A truth value, if it was sent.
#[must_use]
pub fn flag(input: &Value, member: &str) -> Option<bool> {
    input.get(member).and_then(Value::as_bool)
}

/// The items of a list; none when it was not sent.
#[must_use]
pub fn list<'a>(input: &'a Value, member: &str) -> &'a [Value] {
    input.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The texts of a list.
#[must_use]
pub fn texts<'a>(input: &'a Value, member: &str) -> Vec<&'a str> {
    list(input, member).iter().filter_map(Value::as_str).collect()
}

/// `InvalidParameterValue`, the commonest refusal.
#[must_use]
pub fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidParameterValue", 400, message)
}

/// Ends a call that only asked whether it might be made.
///
/// # Errors
/// `DryRunOperation` with `DryRun`.
pub fn check_dry_run(request: &Value) -> Result<(), Fault> {
    if flag(request, "DryRun") == Some(true) {
        return Err(Fault::new("DryRunOperation", 412, "Request would have succeeded, but DryRun flag is set."));
    }
    Ok(())
}

/// How many results a page may have.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub least: i64,
    pub most: i64,
    /// The member with the ids, which may not be sent with `MaxResults`; empty when it may.
    pub ids: &'static str,
}

/// The limits of most listings (EC2 API Reference).
#[cfg(test)]
const PAGES: Limits = Limits { least: 5, most: 1000, ids: "" };

/// The page that a request asks for, as an answer with the list under `member`. Items come with the key that they are sorted
/// by, so that what is made or goes meanwhile neither repeats nor hides another.
///
/// # Errors
/// `InvalidParameterValue` for limits out of range and tokens that are not ours, `InvalidParameterCombination`.
pub fn page(request: &Value, limits: Limits, member: &str, mut items: Vec<(String, Value)>) -> Result<Value, Fault> {
    let wanted = number(request, "MaxResults");
    let after = text(request, "NextToken").map(place).transpose()?;
    if let Some(wanted) = wanted {
        if wanted < limits.least {
            let text = format!(
                "Value ( {wanted} ) for parameter maxResults is invalid. Expecting a value greater than {}.",
                limits.least
            );
            return Err(invalid(text));
        }
        if !limits.ids.is_empty() && !list(request, limits.ids).is_empty() {
            let text = format!("The parameter {} cannot be used with the parameter maxResults", limits.ids);
            return Err(Fault::new("InvalidParameterCombination", 400, text));
        }
    }
    items.sort_by(|(one, _), (other, _)| one.cmp(other));
    if let Some(after) = after {
        items.retain(|(key, _)| *key > after);
    }
    let limit = usize::try_from(wanted.unwrap_or(limits.most).min(limits.most)).unwrap_or(usize::MAX);
    let mut answer = json!({});
    if items.len() > limit {
        items.truncate(limit);
        if let Some((key, _)) = items.last() {
            answer["NextToken"] = json!(URL_SAFE_NO_PAD.encode(key));
        }
    }
    answer[member] = items.into_iter().map(|(_, item)| item).collect();
    Ok(answer)
}

/// assumed: the text for a token that is not ours.
fn place(token: &str) -> Result<String, Fault> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| invalid("Unable to parse pagination token"))
}

/// Milliseconds since the epoch as the service writes times.
#[must_use]
pub fn time(millis: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_give_each_once() {
        let items: Vec<_> = (0..13).map(|number| (format!("{number:02}"), json!(number))).collect();
        let mut request = json!({"MaxResults": 5});
        let mut found = Vec::new();
        loop {
            let answer = page(&request, PAGES, "Things", items.clone()).unwrap();
            found.extend(answer["Things"].as_array().unwrap().clone());
            let Some(token) = answer.get("NextToken") else { break };
            request["NextToken"] = token.clone();
        }
        assert_eq!(found, (0..13).map(|number| json!(number)).collect::<Vec<_>>());
    }

    #[test]
    fn wrong_pages_are_refused() {
        let refusal = |request: Value| page(&request, Limits { ids: "InstanceIds", ..PAGES }, "Things", Vec::new()).unwrap_err();
        assert_eq!(
            refusal(json!({"MaxResults": 3})).message,
            "Value ( 3 ) for parameter maxResults is invalid. Expecting a value greater than 5."
        );
        assert_eq!(refusal(json!({"NextToken": "!"})).code, "InvalidParameterValue");
        assert_eq!(refusal(json!({"MaxResults": 5, "InstanceIds": ["i-1"]})).code, "InvalidParameterCombination");
    }

    #[test]
    fn times_have_milliseconds() {
        assert_eq!(time(1_000), "1970-01-01T00:00:01.000Z");
    }
}
