//! The error document of S3 (REST XML), for what is refused before s3s sees it.

use quick_xml::escape::escape;

use super::Reply;
use crate::local::fault::Fault;

/// An S3 error.
pub fn write(fault: &Fault, request_id: &str) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message><RequestId>{request_id}</RequestId></Error>",
        fault.code,
        escape(&fault.message)
    );
    Reply { status: fault.status, content_type: "application/xml", headers: Vec::new(), body: body.into() }
}

/// Adds message and request id to an error document that lacks them; what is no error document stays as it is.
pub fn complete(document: &str, request_id: &str) -> String {
    let Some((before, after)) = document.split_once("</Code>") else { return document.to_owned() };
    let code = before.rsplit_once("<Code>").map_or("", |(_, code)| code);
    let mut members = String::new();
    if !after.contains("<Message>") {
        members = format!("<Message>{}</Message>", message(code));
    }
    if !after.contains("<RequestId>") {
        members.extend(["<RequestId>", request_id, "</RequestId>"]);
    }
    format!("{before}</Code>{members}{after}")
}

/// The document with S3's namespace at its root, when it has none.
pub fn in_namespace(document: &str) -> String {
    let start = document.strip_prefix("<?xml").and_then(|rest| rest.find("?>")).map_or(0, |end| "<?xml".len() + end + 2);
    let (head, rest) = document.split_at(start);
    match rest.split_once('>') {
        Some((root, content)) if root.trim_start().starts_with('<') && !root.contains("xmlns") => {
            format!("{head}{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{content}")
        }
        _ => document.to_owned(),
    }
}

/// The document with characters that XML readers change or refuse made harmless: keys may hold any. A carriage return is
/// written as a reference (object key naming guidelines); assumed: for the others S3 has no form that readers accept either.
pub fn readable(document: &str) -> String {
    let mut done = String::with_capacity(document.len());
    for c in document.chars() {
        match c {
            '\r' => done.push_str("&#13;"),
            '\t' | '\n' => done.push(c),
            '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => done.push(char::REPLACEMENT_CHARACTER),
            other => done.push(other),
        }
    }
    done
}

/// S3's words (error responses of the S3 API Reference) for what s3s refuses by itself.
fn message(code: &str) -> &'static str {
    match code {
        "InvalidBucketName" => "The specified bucket is not valid.",
        "KeyTooLongError" => "Your key is too long",
        "NotImplemented" => "A header you provided implies functionality that is not implemented",
        "MalformedXML" => "The XML you provided was not well-formed or did not validate against our published schema",
        "MissingContentLength" => "You must provide the Content-Length HTTP header.",
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        "InvalidRange" => "The requested range is not satisfiable",
        "InvalidURI" => "Couldn't parse the specified URI.",
        _ => "The request is not valid",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_root_gets_its_namespace_once() {
        let named = super::in_namespace("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R><A>1</A></R>");
        assert_eq!(
            named,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><A>1</A></R>"
        );
        assert_eq!(super::in_namespace(&named), named);
        assert_eq!(super::in_namespace(""), "");
    }

    #[test]
    fn any_key_can_be_read() {
        assert_eq!(super::readable("<Key>a\r\n\u{1}b\t\u{FFFE}ü</Key>"), "<Key>a&#13;\n\u{FFFD}b\t\u{FFFD}ü</Key>");
    }

    #[test]
    fn an_error_document_is_completed_once() {
        let bare = "<Error><Code>InvalidBucketName</Code></Error>";
        let whole = super::complete(bare, "id");
        assert_eq!(
            whole,
            "<Error><Code>InvalidBucketName</Code><Message>The specified bucket is not valid.</Message><RequestId>id</RequestId></Error>"
        );
        assert_eq!(super::complete(&whole, "other"), whole);
        assert_eq!(super::complete("", "id"), "");
    }
}
