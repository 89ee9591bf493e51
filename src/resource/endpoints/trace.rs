//! The container's own words about what went wrong: the last traceback in an endpoint's log.

use std::time::Duration;

use crate::aws::{Aws, fault, hosting};
use crate::model::{Failure, Safe};

/// Events of each stream that are looked at: what has just happened is at the end.
const EVENTS: i32 = 200;
/// Streams that are looked at: one per instance, latest first.
const STREAMS: usize = 3;
/// The most lines of a traceback that are shown; the last ones tell.
const LINES: usize = 40;
/// A line takes a moment from the container to the log.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(500);

/// The log group of an endpoint.
pub(super) fn group(endpoint: &str) -> String {
    format!("/aws/sagemaker/Endpoints/{endpoint}")
}

/// The last traceback, in the stream named or in the latest ones; waits a moment for it.
pub(super) async fn last(aws: &Aws, endpoint: &str, stream: Option<&str>) -> Option<Safe> {
    for attempt in 0..TRIES {
        if attempt > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        // The log is an extra: that it cannot be read must not hide what went wrong.
        if let Ok(Some(found)) = look(aws, endpoint, stream).await {
            return Some(found);
        }
    }
    None
}

async fn look(aws: &Aws, endpoint: &str, stream: Option<&str>) -> Result<Option<Safe>, Failure> {
    let group = group(endpoint);
    let streams = if let Some(stream) = stream {
        vec![stream.to_owned()]
    } else {
        let call = aws.logs.describe_log_streams().log_group_name(&group).order_by("LastEventTime".into()).descending(true);
        let found = call.limit(10).send().await.map_err(|error| fault::tell("looking for the log", &error));
        let Some(found) = hosting::missing(found)? else { return Ok(None) };
        let names = found.log_streams().iter().filter_map(|stream| stream.log_stream_name());
        names.take(STREAMS).map(str::to_owned).collect()
    };
    for stream in streams {
        let call = aws.logs.get_log_events().log_group_name(&group).log_stream_name(stream).start_from_head(false).limit(EVENTS);
        let Some(page) = hosting::missing(call.send().await.map_err(|error| fault::tell("reading the log", &error)))? else {
            continue;
        };
        let lines = page.events().iter().filter_map(|event| event.message()).flat_map(str::lines);
        if let Some(found) = last_in(&lines.collect::<Vec<_>>()) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The last traceback that is about the model, and not about a connection that somebody closed.
fn last_in(lines: &[&str]) -> Option<Safe> {
    let starts = (0..lines.len()).rev().filter(|at| lines[*at].contains("Traceback (most recent call last)"));
    let mut found = starts.map(|start| traceback(lines, start));
    found
        .find(|found| {
            let last = found.last().unwrap_or(&"");
            !last.contains("BrokenPipeError") && !last.contains("ConnectionResetError")
        })
        .map(|found| Safe::text(&found.join("\n")))
}

/// A `Traceback` with its frames and the exception's line, or the end of it.
fn traceback<'a>(lines: &'a [&'a str], start: usize) -> &'a [&'a str] {
    // Model servers put their own words before each line, so how far it is indented counts from there.
    let indent = lines[start].find("Traceback").unwrap_or(0);
    let frames =
        lines[start + 1..].iter().take_while(|line| line.get(indent..).is_some_and(|rest| rest.starts_with([' ', '\t'])));
    let end = (start + 2 + frames.count()).min(lines.len());
    &lines[start.max(end.saturating_sub(LINES))..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_traceback_is_found_whole() {
        let log = "ready\nTraceback (most recent call last):\n  File \"a.py\", line 1\n    x\nKeyError: 1\nok\nTraceback (most recent call last):\n  File \"b.py\", line 2\nValueError: no\nserving on";
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(
            last_in(&lines).unwrap().as_str(),
            "Traceback (most recent call last):\n  File \"b.py\", line 2\nValueError: no"
        );
        assert_eq!(last_in(&["all is well"]), None);
        let closed = [lines.as_slice(), &["Traceback (most recent call last):", "  x", "BrokenPipeError: [Errno 32]"]].concat();
        assert_eq!(last_in(&closed), last_in(&lines), "somebody hung up: that is not what the model failed of");
        let served = ["W-1 Traceback (most recent call last):", "W-1   File \"b.py\"", "W-1 ValueError: no", "W-1 on"];
        assert!(last_in(&served).unwrap().as_str().ends_with("ValueError: no"));
        assert!(last_in(&["Traceback (most recent call last):"]).is_some(), "cut at the end of what was read");
    }
}
