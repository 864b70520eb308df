"""The quickstart as a user runs it, on the real digits."""

import json
import re
from pathlib import Path

import pytest
from support.command_line import orchestrate

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]
SWEEP = REPOSITORY / "sweeps" / "quickstart.yaml"
UNSEEN = {
    *("data/replaced", "train/mfu", "time/checkpoint_s"),  # no corrupt image, no peak, too short
    *("layer_scale/attention", "layer_scale/mlp", "norms/worst_block"),  # no such thing in it
    *("attention/outliers_received", "mlp/outlier_max_abs", "mlp/outlier_max_norm"),
    "redundancy/outliers",
}
"""Documented metrics that the quickstart does not measure, or not on every machine."""


def test_every_arm_of_the_quickstart_reads_nine_digits_of_ten_and_runs_once(
    tmp_path: Path, digits: Path
) -> None:
    root, places = tmp_path / "runs", {"root": tmp_path / "runs", "data": digits}
    first = orchestrate("launch", str(SWEEP), "--wait", **places)
    again = orchestrate("launch", str(SWEEP), "--wait", **places)
    results = json.loads(orchestrate("results", "quickstart", "--json", **places))
    by = ("--by", "model.registers")
    registers = json.loads(orchestrate("results", "quickstart", "--json", *by, **places))
    orchestrate("results", "quickstart", "--norms", str(tmp_path / "norms.png"), **places)
    usage = json.loads(orchestrate("usage", "quickstart", "--json", **places))
    vanilla = orchestrate("usage", "--by", "case", "--where", "case == 'vanilla'", **places)

    assert "4 of 4 jobs submitted" in first
    assert "0 of 4 jobs submitted" in again
    assert len(list(root.glob("jobs/*/*/attempts/*"))) == 4
    means = {row["case"]: row["mean"] for row in results["rows"]}
    assert means.keys() == {"vanilla", "registers-4", "gate-sdpa", "gate-value"}
    assert min(means.values()) > 90
    assert [(row["model.registers"], row["n"]) for row in registers["rows"]] == [(0, 3), (4, 1)]
    assert (tmp_path / "norms.png").stat().st_size > 10_000
    total = usage["total"]
    assert (total["done"], total["starts"], total["hours_lost"], usage["untold"]) == (4, 4, 0, 0)
    assert 0.15 < total["memory_gb"]["median"] < 4  # of a process with torch
    assert 0.1 < total["cpus"]["median"] < 2
    assert [(one["axis"], one["jobs"]) for one in usage["axes"]] == [("case", 1)] * 4
    assert "1 job, 1 done, 1 start; 0 reached the time limit" in vanilla
    assert measured(root) | UNSEEN == documented() | UNSEEN


def measured(root: Path) -> set[str]:
    journals = [path.read_text().splitlines() for path in root.glob("jobs/*/*/attempts/*/*.jsonl")]
    return {name for lines in journals for line in lines[1:] for name in json.loads(line)["m"]}


def documented() -> set[str]:
    """The metrics of the docs, but for those of evaluations on other sets and of analyses."""
    text = (REPOSITORY / "docs/metrics.md").read_text()
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    told = (name for cell in cells for name in re.findall(r"`([^`]+)`", cell))
    return {name for name in told if "<" not in name and not name.startswith("artifacts/")}
