//! The SDK's time and ours.

use aws_smithy_types::DateTime;
use jiff::Timestamp;

/// The SDK's time as ours; a time outside the calendar (there is none in AWS) becomes the epoch.
#[must_use]
pub fn ours(time: &DateTime) -> Timestamp {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).unwrap_or(0)).unwrap_or_default()
}

/// Our time as the SDK's.
#[must_use]
pub fn theirs(time: Timestamp) -> DateTime {
    DateTime::from_secs_and_nanos(time.as_second(), 0)
}
