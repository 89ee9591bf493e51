"""What the list asks of AWS: requests counted between the cockpit and the region, in the rhythm that AWS is asked in."""
from kit.region import Home, read_all
from kit.table import Row

JOBS = 3000


def measure(quick):
    minutes = 0.5 if quick else 2
    with Home() as home:
        home.pace(1)
        home.serve().fill(JOBS)
        calls = home.count()
        with home.cockpit() as cockpit:
            cockpit.drain(minutes * 60)
            cold = calls()
            read_all(cockpit, JOBS)
            cockpit.drain(2)
            before = calls()
            cockpit.drain(minutes * 60)
            warm = calls() - before
    return [row("from nothing, reading the history", cold, minutes), row("history known", warm, minutes)]


def row(title, calls, minutes):
    lists = calls.pop("ListTrainingJobs", 0) / minutes
    others = ", ".join(f"{name} {count / minutes:.1f}" for name, count in calls.most_common())
    return Row(f"ListTrainingJobs a minute, {JOBS:,} jobs: {title}", f"{lists:.1f}", "<= 12", f"{minutes} minutes", f"others a minute: {others}")
