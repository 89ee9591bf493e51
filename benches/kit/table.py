"""Rows of the table, and what to say of many samples."""
import dataclasses
import statistics


@dataclasses.dataclass
class Row:
    """One line. What could not be measured has a dash."""

    figure: str
    measured: str
    target: str = ""
    spread: str = ""
    peer: str = ""


def share(samples, part):
    """The value that this part of the samples does not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def middle(samples, unit="ms"):
    """Median, and the range of the middle half with the number of samples."""
    spread = f"{share(samples, 0.25):.1f}–{share(samples, 0.75):.1f}, worst {max(samples):.1f} (n={len(samples)})"
    return f"{statistics.median(samples):.1f} {unit}", spread


def tail(samples, unit="ms"):
    """p50 and p99, and the worst with the number of samples."""
    spread = f"p90 {share(samples, 0.9):.1f}, worst {max(samples):.1f} (n={len(samples)})"
    return f"p50 {share(samples, 0.5):.1f} · p99 {share(samples, 0.99):.1f} {unit}", spread


def show(rows):
    titles = Row("FIGURE", "MEASURED", "TARGET", "SPREAD", "BESIDE IT")
    cells = [[row.figure, row.target, row.measured, row.spread, row.peer] for row in [titles, *rows]]
    widths = [max(len(line[at]) for line in cells) for at in range(4)]
    for line in cells:
        print("  ".join([text.ljust(width) for text, width in zip(line, widths)] + [line[4]]).rstrip())
