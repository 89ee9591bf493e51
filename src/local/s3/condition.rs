//! Conditional requests: `If-Match` and its kin, for reading, copying and writing.

use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Result, s3_error};

use super::timestamp;
use crate::local::buckets::Row;

/// What a reader asks of the object.
#[derive(Default)]
pub(super) struct Reading {
    pub matches: Option<ETagCondition>,
    pub none_match: Option<ETagCondition>,
    pub modified_since: Option<Timestamp>,
    pub unmodified_since: Option<Timestamp>,
}

impl Reading {
    /// 304 or 412 when the object is not as asked; an `ETag` condition outweighs its date (RFC 9110, section 13.2.2).
    pub fn check(&self, row: &Row) -> S3Result<()> {
        match self.verdict(row) {
            Verdict::Pass => Ok(()),
            Verdict::Changed => {
                Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"))
            }
            Verdict::Same => Err(s3_error!(NotModified, "Not Modified")),
        }
    }

    /// The same for the source of a copy, where everything that does not hold is 412.
    pub fn check_source(&self, row: &Row) -> S3Result<()> {
        match self.verdict(row) {
            Verdict::Pass => Ok(()),
            _ => Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")),
        }
    }

    fn verdict(&self, row: &Row) -> Verdict {
        // HTTP dates have whole seconds.
        let modified = timestamp(row.modified.div_euclid(1000) * 1000);
        match (&self.matches, &self.unmodified_since) {
            (Some(condition), _) if !holds(condition, row) => return Verdict::Changed,
            (None, Some(since)) if modified > *since => return Verdict::Changed,
            _ => {}
        }
        match (&self.none_match, &self.modified_since) {
            (Some(condition), _) if holds(condition, row) => Verdict::Same,
            (None, Some(since)) if modified <= *since => Verdict::Same,
            _ => Verdict::Pass,
        }
    }
}

enum Verdict {
    Pass,
    Changed,
    Same,
}

/// What a writer asks of what is there now.
#[derive(Clone, Default)]
pub(super) struct Writing {
    pub matches: Option<ETagCondition>,
    pub none_match: Option<ETagCondition>,
}

impl Writing {
    pub fn allows(&self, there: Option<&Row>) -> bool {
        let matches = self.matches.as_ref().is_none_or(|condition| there.is_some_and(|row| holds(condition, row)));
        let none = self.none_match.as_ref().is_none_or(|condition| there.is_none_or(|row| !holds(condition, row)));
        matches && none
    }

    /// The answer when it is not allowed: 404 when `If-Match` finds nothing to match.
    pub fn refusal(&self, there: bool) -> s3s::S3Error {
        if self.matches.is_some() && !there {
            return s3_error!(NoSuchKey, "The specified key does not exist.");
        }
        s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
    }
}

fn holds(condition: &ETagCondition, row: &Row) -> bool {
    condition.as_etag().is_none_or(|etag| etag.value() == ETag::Strong(row.etag.clone()).value())
}
