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
