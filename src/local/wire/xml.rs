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
