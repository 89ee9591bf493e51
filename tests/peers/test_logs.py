"""CloudWatch Logs through boto3: every line of a job, exactly once, in order."""
import pytest
from jobs import GROUP, unique


@pytest.fixture
def finished(jobs):
    """A job on two hosts that has printed a thousand numbered lines on each."""
    name = jobs.start("train.py", hyperparameters={"lines": 1000}, instances=2)
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed"
    return name


def numbered(messages):
    return [message for message in messages if message.startswith("line ")]


EXPECTED = [f"line {number:05} of 1000" for number in range(1000)]


def test_every_line_is_there_once_and_in_order_whatever_the_page(jobs, finished):
    for stream in jobs.streams(finished):
        for limit in (10000, 333, 100):
            events = jobs.events(stream, limit)
            assert numbered(event["message"] for event in events) == EXPECTED
            assert [event["timestamp"] for event in events] == sorted(event["timestamp"] for event in events)
        messages = [event["message"] for event in events]
        assert any("warning: a word on the error stream" in message for message in messages)
        assert f"host {stream.split('/')[1].rpartition('-')[0]}" in messages
        assert "trained" in messages
        assert all(event["ingestionTime"] >= event["timestamp"] for event in events)


def test_reading_backwards_from_the_end(jobs, finished):
    logs, stream = jobs.clients.logs, jobs.streams(finished)[0]
    every = [event["message"] for event in jobs.events(stream)]
    pages, token = [], {}
    while True:
        answer = logs.get_log_events(logGroupName=GROUP, logStreamName=stream, limit=300, **token)
        if answer["events"]:
            pages.insert(0, [event["message"] for event in answer["events"]])
        if token.get("nextToken") == answer["nextBackwardToken"]:
            break
        token = {"nextToken": answer["nextBackwardToken"]}
    assert [message for page in pages for message in page] == every
    assert pages[-1][-1] == every[-1]


def test_a_time_window_includes_its_start_and_excludes_its_end(jobs, finished):
    logs, stream = jobs.clients.logs, jobs.streams(finished)[0]
    events = jobs.events(stream)
    start, end = events[0]["timestamp"], events[-1]["timestamp"]
    window = logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True, startTime=start, endTime=end)["events"]
    assert [event["message"] for event in window] == [event["message"] for event in events if start <= event["timestamp"] < end]
    after = logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True, startTime=end)["events"]
    assert [event["message"] for event in after] == [event["message"] for event in events if event["timestamp"] >= end]


def test_groups_and_streams_are_described(jobs, finished):
    logs = jobs.clients.logs
    groups = logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/")["logGroups"]
    group = next(group for group in groups if group["logGroupName"] == GROUP)
    assert group["arn"] == f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}:*"
    assert group["creationTime"] > 0
    assert logs.describe_log_groups(logGroupNamePrefix="/none/")["logGroups"] == []
    streams = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{finished}/")
    assert "nextToken" not in streams  # with a token here the SDK lists the same streams for ever
    for stream in streams["logStreams"]:
        events = jobs.events(stream["logStreamName"])
        assert stream["firstEventTimestamp"] == events[0]["timestamp"]
        assert stream["lastEventTimestamp"] == events[-1]["timestamp"]
        assert stream["arn"].endswith(f":log-group:{GROUP}:log-stream:{stream['logStreamName']}")
    assert logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{finished[:-1]}/")["logStreams"] == []


def test_streams_come_in_pages_and_by_last_event(jobs, finished):
    logs, every = jobs.clients.logs, jobs.streams(finished)
    pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=GROUP, logStreamNamePrefix=f"{finished}/", PaginationConfig={"PageSize": 1})
    assert [stream["logStreamName"] for page in pages for stream in page["logStreams"]] == every
    newest = logs.describe_log_streams(logGroupName=GROUP, orderBy="LastEventTime", descending=True)["logStreams"]
    times = [stream["lastEventTimestamp"] for stream in newest]
    assert times == sorted(times, reverse=True) and set(every) <= {stream["logStreamName"] for stream in newest}


def filtered(jobs, name, **arguments):
    pages = jobs.clients.logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP, logStreamNamePrefix=f"{name}/", **arguments)
    return [event for page in pages for event in page["events"]]


def test_filtering_reads_all_streams_of_a_job_once(jobs, finished):
    streams = jobs.streams(finished)
    for size in (10000, 777):
        events = filtered(jobs, finished, PaginationConfig={"PageSize": size})
        assert len({event["eventId"] for event in events}) == len(events)
        assert [event["timestamp"] for event in events] == sorted(event["timestamp"] for event in events)
        for stream in streams:
            assert numbered(event["message"] for event in events if event["logStreamName"] == stream) == EXPECTED


def test_filter_patterns(jobs, finished):
    def found(pattern):
        return sorted({event["message"] for event in filtered(jobs, finished, filterPattern=pattern)})

    assert found('"line 00042"') == ["line 00042 of 1000"]
    assert found("00042 line") == ["line 00042 of 1000"]
    assert found("loss") == ["epoch 1 loss=2.000 accuracy=0.50", "epoch 2 loss=1.000 accuracy=0.75", "epoch 3 loss=0.667 accuracy=0.83"]
    assert found("?00042 ?00043") == ["line 00042 of 1000", "line 00043 of 1000"]
    assert found("of -line -epoch") == []
    assert found("nowhere") == []
    one = jobs.streams(finished)[0]
    events = jobs.clients.logs.filter_log_events(logGroupName=GROUP, logStreamNames=[one], filterPattern="trained")["events"]
    assert [event["logStreamName"] for event in events] == [one]


def test_a_running_job_can_be_followed(jobs):
    name = jobs.start("polite.py")
    jobs.wait_for_line(name, "ready")
    assert jobs.describe(name)["TrainingJobStatus"] == "InProgress"
    stream = jobs.streams(name)[0]
    token = jobs.clients.logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True)["nextForwardToken"]
    jobs.clients.sagemaker.stop_training_job(TrainingJobName=name)
    jobs.wait(name)
    later = jobs.clients.logs.get_log_events(logGroupName=GROUP, logStreamName=stream, nextToken=token)
    assert "got SIGTERM, saved" in [event["message"] for event in later["events"]]


def test_hostile_output_arrives_whole(jobs):
    name = jobs.start("messy.py")
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed"
    lines = jobs.lines(name)
    assert any(line.startswith("plain ") and line.endswith(" bytes ä") for line in lines)
    assert any("red" in line and "and a NUL" in line for line in lines)
    assert any("progress 100%" in line for line in lines)
    assert sum(line.count("L") for line in lines if set(line) == {"L"}) == 600000
    assert max(len(line.encode()) for line in lines) <= 1024 * 1024  # CloudWatch's own limit for one event
    assert lines[-1] == "last line without an end"


def test_missing_groups_and_streams(jobs, finished):
    logs = jobs.clients.logs
    with pytest.raises(logs.exceptions.ResourceNotFoundException) as caught:
        logs.describe_log_streams(logGroupName="/none/" + unique("group"))
    assert caught.value.response["Error"]["Message"] == "The specified log group does not exist."
    with pytest.raises(logs.exceptions.ResourceNotFoundException) as caught:
        logs.get_log_events(logGroupName=GROUP, logStreamName="none")
    assert caught.value.response["Error"]["Message"] == "The specified log stream does not exist."


def test_bad_arguments(jobs, finished):
    logs, stream = jobs.clients.logs, jobs.streams(finished)[0]
    for arguments in ({"nextToken": "f/not-a-token"}, {"limit": 10001}):
        with pytest.raises(logs.exceptions.InvalidParameterException):
            logs.get_log_events(logGroupName=GROUP, logStreamName=stream, **arguments)
