//! Runs jobs for real: lays out `/opt/ml` under a private root, starts a process per host, reads its output, ends it.
