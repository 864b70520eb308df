"""The quickstart as a user runs it, on the real digits."""

import json
from pathlib import Path

import pytest
from support.command_line import orchestrate

pytestmark = pytest.mark.slow
SWEEP = Path(__file__).parents[2] / "sweeps" / "quickstart.yaml"


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

    assert "4 of 4 jobs submitted" in first
    assert "0 of 4 jobs submitted" in again
    assert len(list(root.glob("jobs/*/*/attempts/*"))) == 4
    means = {row["case"]: row["mean"] for row in results["rows"]}
    assert means.keys() == {"vanilla", "registers-4", "gate-sdpa", "gate-value"}
    assert min(means.values()) > 90
    assert [(row["model.registers"], row["n"]) for row in registers["rows"]] == [(0, 3), (4, 1)]
    assert (tmp_path / "norms.png").stat().st_size > 10_000
