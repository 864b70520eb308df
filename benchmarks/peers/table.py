"""What was measured, as lines for people and as plain values."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from peers.measure import Files, Missing
from peers.story import STEPS, Measured, Told

OURS = "orchestrate"
By = Mapping[int, Mapping[str, Told]]
"""By number of jobs and name of the competitor."""


def lines(by: By) -> Iterator[str]:
    """A block for each step and number of jobs, a line for each competitor.

    A ratio is the competitor's seconds over ours: above 1, ours is ahead. There is none where one
    submits jobs again that the other knows.
    """
    for jobs, competitors in by.items():
        for step, words in STEPS.items():
            yield f"{words}, {jobs:,} jobs"
            ours = competitors[OURS][step]
            for name, told in competitors.items():
                one = told[step]
                if isinstance(one, Missing):
                    yield f"  {name:<20} n/a: {one.why}"
                else:
                    yield f"  {name:<20} {_line(one)}{_ratio(one, ours)}"
        yield f"left by the launch of {jobs:,} jobs, per job, before any starts"
        for name, files in _files(competitors):
            yield f"  {name:<20} {_file_line(files)}"


def _line(one: Measured) -> str:
    run = one.last
    batches, all_calls = run.calls.get("sbatch", 0), sum(run.calls.values())
    times = f"{one.seconds:8.2f} s  median {one.median_s:8.2f}  cpu {one.cpu_s:7.2f}"
    calls = f"calls {all_calls:4} (sbatch {batches})  submitted {run.submitted:6,}"
    return f"{times}  {one.seconds / run.jobs * 1e3:7.3f} ms/job  {calls}"


def _ratio(one: Measured, ours: Measured | Missing) -> str:
    if isinstance(ours, Missing) or one is ours:
        return ""
    if one.last.submitted != ours.last.submitted:
        return "  all again"
    return f"  x{one.seconds / ours.seconds:.2f}"


def _files(competitors: Mapping[str, Told]) -> Iterator[tuple[str, Files]]:
    for name, told in competitors.items():
        launched = told["launch"]
        if isinstance(launched, Measured) and launched.files:
            yield name, launched.files


def _file_line(files: Files) -> str:
    per_job = files.bytes / files.jobs
    return (
        f"{files.files / files.jobs:7.3f} files  {files.inodes / files.jobs:7.3f} inodes  "
        f"{per_job:11,.0f} bytes  ({files.files:,} files)"
    )


def plain(by: By) -> dict[str, object]:
    """The same as values of JSON, each run with its own."""
    return {
        str(jobs): {
            name: {step: _plain(one) for step, one in told.items()}
            for name, told in competitors.items()
        }
        for jobs, competitors in by.items()
    }


def _plain(one: Measured | Missing) -> dict[str, object]:
    if isinstance(one, Missing):
        return {"missing": one.why}
    runs = [asdict(run) for run in one.runs]
    found: dict[str, object] = {"seconds": one.seconds, "median_s": one.median_s, "runs": runs}
    if one.files:
        found["files"] = asdict(one.files)
    return found


def bars(by: By) -> Iterator[str]:
    """Whether ours keeps within what it promises, at the numbers of jobs that were measured."""
    fewer, more = min(by), max(by)
    for jobs, step, most_s in (
        (fewer, "launch", 5.0),
        (more, "relaunch while waiting", 3.0),
        (more, "relaunch when ended", 3.0),
        (more, "status while waiting", 1.0),
        (more, "status when ended", 1.0),
    ):
        one = by[jobs][OURS][step]
        assert isinstance(one, Measured), "ours can do every step"
        again = one.last.submitted if "relaunch" in step else 0
        kept = "kept" if one.seconds < most_s and not again else "MISSED"
        submitted = f", {again} submitted" if "relaunch" in step else ""
        yield f"  {kept:<6} {step}, {jobs:,} jobs: {one.seconds:.2f} of {most_s:g} s{submitted}"


def behind(by: By) -> Iterator[str]:
    """In what a competitor did better than ours, of time, calls and files."""
    for jobs, competitors in by.items():
        for name, told in competitors.items():
            for step in STEPS:
                ours, one = competitors[OURS][step], told[step]
                if isinstance(ours, Measured) and isinstance(one, Measured):
                    for words in _better(one, ours):
                        yield f"  {name}, {step}, {jobs:,} jobs: {words}"


def _better(one: Measured, ours: Measured) -> Iterator[str]:
    if one.last.submitted != ours.last.submitted:
        return  # it did other work
    pairs = {
        "seconds": (one.seconds, ours.seconds),
        "calls": (sum(one.last.calls.values()), sum(ours.last.calls.values())),
    }
    if one.files and ours.files:
        pairs["files"] = (one.files.files, ours.files.files)
        pairs["inodes"] = (one.files.inodes, ours.files.inodes)
        pairs["bytes"] = (one.files.bytes, ours.files.bytes)
    for what, (theirs, own) in pairs.items():
        if theirs < own:
            yield f"{theirs:,.5g} {what}, ours {own:,.5g}"
