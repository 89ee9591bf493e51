//! Pages of a list that does not change while the program runs: the token is the place where the page before ended.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::fault::Fault;

/// The most results of a page, and as many as there are when `MaxResults` is not sent.
const MOST_RESULTS: usize = 100;

/// The page that a request asks for with `MaxResults` and `NextToken`, as an answer with the list under `member`;
/// `invalid` is the service's code for a token that is not its own.
///
/// # Errors
/// Such a token. assumed: the text.
pub fn page(request: &Map<String, Value>, all: Vec<Value>, member: &str, invalid: &'static str) -> Result<Value, Fault> {
    let limit = request.get("MaxResults").and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(MOST_RESULTS);
    let start = match request.get("NextToken").and_then(Value::as_str) {
        None => 0,
        Some(token) => place(token)
            .filter(|place| *place < all.len())
            .ok_or_else(|| Fault::new(invalid, 400, "Invalid NextToken. Send the token of the page before, or none."))?,
    };
    let end = all.len().min(start + limit);
    let mut answer = json!({});
    if end < all.len() {
        answer["NextToken"] = json!(STANDARD.encode(end.to_string()));
    }
    answer[member] = all.into_iter().skip(start).take(limit).collect();
    Ok(answer)
}

fn place(token: &str) -> Option<usize> {
    String::from_utf8(STANDARD.decode(token).ok()?).ok()?.parse().ok()
}
