import json
import shutil

import pytest
from support.finished import run_to_its_end
from support.kept import STATE, WEIGHTS, leave_half, leave_snapshot, leave_state, leave_weights
from support.pool_bench import Bench, until
from support.terminal import Terminal

from orchestrator.cli.render import size
from orchestrator.controller.garbage import What
from orchestrator.controller.snapshot import take_snapshot
from orchestrator.jobs.layout import JobFolder


@pytest.fixture
def over(bench: Bench) -> JobFolder:
    """Job a of a sweep that is over is done, with two states and the weights of its last step."""
    run_to_its_end(bench)
    job = bench.root.job(bench.id_of("a"))
    shutil.rmtree(bench.root.snapshots)
    take_snapshot(bench.root)
    for step in (50, 100):
        leave_state(job, 1, step)
    leave_weights(job, 1, 100)
    return job


@pytest.mark.slow
def test_gc_shows_what_goes_and_asks_and_without_a_terminal_removes_nothing(
    bench: Bench, over: JobFolder
) -> None:
    leave_half(bench.root.path)
    before = sorted(bench.root.path.rglob("*"))
    unasked = bench.orchestrate("gc")
    told = json.loads(bench.orchestrate("gc", "s", "--json").stdout)
    refused = Terminal(bench, "gc")
    until(lambda: "Remove them? [y/N]" in refused.read())
    refused.type("n\n")

    assert (refused.exit_code(), unasked.returncode) == (1, 1)
    assert "Nothing was removed" in unasked.stdout
    lines = [line.split() for line in unasked.stdout.splitlines()]
    assert ["leftovers", "of", "killed", "writers", "1", "4", "B"] in lines
    assert any(line[:1] == ["total"] and line[1] == "4" for line in lines)
    assert sorted(bench.root.path.rglob("*")) == before
    assert (told["schema"], told["kept"], told["notes"]) == (1, [], [])
    rows = {row["what"]: (row["things"], row["of_others"]) for row in told["rows"]}
    assert rows == {What.CACHE: (1, 0), What.STATES: (2, 0)}


@pytest.mark.slow
def test_after_gc_the_table_of_results_is_the_same_and_nothing_is_launched(
    bench: Bench, over: JobFolder
) -> None:
    leave_snapshot(bench.root)
    shown = [bench.orchestrate(*words).stdout for words in (("status",), ("results", "s"))]

    agreed = Terminal(bench, "gc")
    until(lambda: "[y/N]" in agreed.read())
    agreed.type("y\n")

    assert agreed.exit_code() == 0
    assert "Freed " in agreed.read()
    assert list(over.checkpoints.iterdir()) == []
    assert (over.weights / "001-000000100" / "weights.pt").read_bytes() == WEIGHTS
    assert [bench.orchestrate(*w).stdout for w in (("status",), ("results", "s"))] == shown
    assert "Nothing to remove." in bench.orchestrate("gc", "--yes").stdout


@pytest.mark.slow
def test_gc_says_which_jobs_keep_their_states_and_why(bench: Bench, over: JobFolder) -> None:
    shutil.rmtree(over.weights)

    shown = bench.orchestrate("gc", "s/a", "--yes")

    assert shown.returncode == 0
    assert "kept: checkpoints of a: it left no weights of its last step" in shown.stdout
    assert len(list(over.checkpoints.iterdir())) == 2


@pytest.mark.slow
def test_json_with_yes_tells_what_went(bench: Bench, over: JobFolder) -> None:
    told = json.loads(bench.orchestrate("gc", "--yes", "--json").stdout)

    row = next(row for row in told["rows"] if row["what"] == What.STATES)
    assert row["things"] == 2
    assert row["bytes"] > 2 * len(STATE)
    assert list(over.checkpoints.iterdir()) == []


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1 kB"), (88_123_456, "88.1 MB"), (3.2e15, "3,200 TB")],
)
def test_sizes_are_told_in_three_digits(count: float, shown: str) -> None:
    assert size(count) == shown
