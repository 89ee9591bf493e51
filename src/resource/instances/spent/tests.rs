//! What is known after each way that an instance can come to stand still or run again.

use aws_sdk_ec2::types::{
    InstanceNetworkInterface, InstanceNetworkInterfaceAttachment, InstanceState, InstanceStateName, InstanceType,
};
use aws_smithy_types::DateTime;

use super::*;

fn at(text: &str) -> Timestamp {
    format!("2026-11-22T{text}Z").parse().unwrap()
}

fn moment(text: &str) -> DateTime {
    DateTime::from_secs(at(text).as_second())
}

/// An instance that was made at ten, with its last start, the reason for its last stop and the tag.
fn instance(state: &str, kind: &str, launched: &str, reason: &str, ran: Option<&str>) -> Instance {
    let attachment = InstanceNetworkInterfaceAttachment::builder().device_index(0).attach_time(moment("10:00:00")).build();
    Instance::builder()
        .instance_id("i-1")
        .state(InstanceState::builder().name(InstanceStateName::from(state)).build())
        .instance_type(InstanceType::from(kind))
        .launch_time(moment(launched))
        .network_interfaces(InstanceNetworkInterface::builder().attachment(attachment).build())
        .state_transition_reason(if reason.is_empty() {
            String::new()
        } else {
            format!("User initiated (2026-11-22 {reason} GMT)")
        })
        .set_tags(ran.map(|ran| vec![Tag::builder().key(RAN).value(ran).build()]))
        .build()
}

/// What it cost until 20:00; and whether it may be more.
fn dollars(it: &Instance) -> (Option<f64>, bool) {
    let price = |kind: &str| match kind {
        "t3.medium" => Some(0.1),
        "g5.xlarge" => Some(1.0),
        _ => None,
    };
    let life = Life::priced(it, at("20:00:00"), &price);
    let clock = crate::model::Clock { now: at("20:00:00"), zone: jiff::tz::TimeZone::UTC };
    let cost = life.cost();
    let cents = cost.number(&clock).map(|dollars| (dollars * 100.0).round() / 100.0);
    (cents, matches!(cost, Cell::Spent { least: true, .. }))
}

#[test]
fn every_stretch_counts_at_its_own_price() {
    let noted = "to=2026-11-22T10:00:01Z at=2026-11-22T16:00:00Z t3.medium=7200/0.1";
    let table = vec![
        // Its first start: all there was.
        (instance("running", "g5.xlarge", "10:00:01", "", None), Some(10.0), false),
        (instance("stopped", "t3.medium", "10:00:01", "12:00:01", None), Some(0.2), false),
        // Two hours small, then four large.
        (instance("running", "g5.xlarge", "16:00:02", "", Some(noted)), Some(4.2), false),
        (instance("stopping", "g5.xlarge", "16:00:02", "17:00:02", Some(noted)), Some(1.2), false),
        (instance("terminated", "g5.xlarge", "16:00:02", "17:00:02", Some(noted)), Some(1.2), false),
        // Noted, and not started after all, or its type changed: what ran stays what it was.
        (instance("stopped", "g5.xlarge", "10:00:01", "12:00:01", Some(noted)), Some(0.2), false),
        // Terminated long after it was stopped.
        (instance("terminated", "t3.medium", "10:00:01", "19:00:00", Some(noted)), Some(0.2), false),
        // A price of then stays; one that was not known may be by now.
        (
            instance("stopped", "g5.xlarge", "10:00:01", "", Some("to=2026-11-22T10:00:01Z t3.medium=3600/7 g5.xlarge=3600")),
            Some(8.0),
            false,
        ),
        (
            instance("stopped", "p9.large", "10:00:01", "", Some("to=2026-11-22T10:00:01Z t3.medium=3600/0.1 p9.large=60")),
            Some(0.1),
            true,
        ),
    ];
    for (it, cents, least) in table {
        assert_eq!(dollars(&it), (cents, least), "{it:?}");
    }
}

#[test]
fn what_nobody_noted_is_said_to_be_missing() {
    let noted = "to=2026-11-22T10:00:01Z at=2026-11-22T12:30:00Z t3.medium=7200/0.1";
    let table = vec![
        // Started elsewhere: without a note, or long after the start that was noted.
        (instance("running", "g5.xlarge", "16:00:00", "", None), Some(4.0), true),
        (instance("running", "g5.xlarge", "16:00:00", "", Some(noted)), Some(4.2), true),
        (instance("running", "g5.xlarge", "16:00:00", "", Some("to=2026-11-22T10:00:01Z t3.medium=7200/0.1")), Some(4.2), true),
        // It shut itself down: nothing tells when.
        (instance("stopped", "g5.xlarge", "16:00:00", "", Some(noted)), Some(0.2), true),
        (instance("stopped", "g5.xlarge", "10:00:00", "", None), None, false),
        // Once missing, always missing.
        (
            instance(
                "running",
                "g5.xlarge",
                "16:00:00",
                "",
                Some("to=2026-11-22T10:00:01Z at=2026-11-22T16:00:00Z least t3.medium=7200/0.1"),
            ),
            Some(4.2),
            true,
        ),
    ];
    for (it, cents, least) in table {
        assert_eq!(dollars(&it), (cents, least), "{it:?}");
    }
}

#[test]
fn a_note_that_cannot_be_true_is_none() {
    for ran in [
        // Copied from another instance, that is older.
        "to=2026-11-21T10:00:00Z at=2026-11-22T16:00:00Z t3.medium=7200/0.1",
        // Longer than it lives.
        "to=2026-11-22T10:00:00Z at=2026-11-22T16:00:00Z t3.medium=72000/0.1",
        // Of a start to come, or of the one that runs.
        "to=2026-11-22T17:00:00Z t3.medium=7200/0.1",
        "to=2026-11-22T16:00:00Z t3.medium=7200/0.1",
        "\u{202e}to=2026-11-22T10:00:00Z t3.medium=7200/0.1",
    ] {
        assert_eq!(dollars(&instance("running", "g5.xlarge", "16:00:00", "", Some(ran))), (Some(4.0), true), "{ran}");
    }
}

#[tokio::test]
async fn to_note_twice_is_to_note_once() {
    let aws = crate::aws::scripted::Scripted::new(|_| (400, Vec::new())).connect(true, None).await;
    let noted = "to=2026-11-22T10:00:01Z at=2026-11-22T15:00:00Z g5.xlarge=3600/1";
    let mut it = instance("stopped", "t3.medium", "15:00:01", "17:00:01", Some(noted));
    let first = due(&aws, &it, None).unwrap();
    assert!(first.starts_with("to=2026-11-22T15:00:01Z g5.xlarge=3600/1 t3.medium=7200/0.0416"), "{first}");
    it = instance("stopped", "g5.xlarge", "15:00:01", "17:00:01", Some(&first));
    assert_eq!(due(&aws, &it, None), None, "the type is another one by now, what ran is not");
    let starts = due(&aws, &it, Some(at("19:00:00"))).unwrap();
    assert_eq!(starts, first.replace(":01Z ", ":01Z at=2026-11-22T19:00:00Z "));
    it = instance("stopped", "g5.xlarge", "15:00:01", "17:00:01", Some(&starts));
    assert_eq!(due(&aws, &it, None), None, "what was noted of a start that failed stays");
    assert_eq!(due(&aws, &instance("running", "g5.xlarge", "15:00:01", "", None), None), None);
}
