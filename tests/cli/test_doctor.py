import json
import re
from pathlib import Path

import pytest
from support.pool_bench import Bench
from support.terminal import Terminal


@pytest.fixture
def alone(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    """A bench on a machine without SLURM, and without its planted code."""
    for copy in bench.root.snapshots.iterdir():
        copy.rename(tmp_path / "planted")
    monkeypatch.setenv("PATH", str(tmp_path))
    return bench


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 160])
def test_what_doctor_finds_fits_its_terminal(alone: Bench, columns: int) -> None:
    terminal = Terminal(alone, "doctor", columns=columns)

    assert terminal.exit_code() == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.read()).splitlines()
    assert max(map(len, lines)) <= columns
    assert any("exclusion" in line and "renames and links exclude" in line for line in lines)
    assert re.match(r"\d+ ok", lines[-1])


@pytest.mark.slow
def test_doctor_ends_with_1_if_anything_is_bad(alone: Bench, tmp_path: Path) -> None:
    sound = alone.orchestrate("doctor", "--json")
    bad = alone.orchestrate("doctor", "--json", "--store", "http://127.0.0.1:9")

    assert (sound.returncode, bad.returncode) == (0, 1)
    assert json.loads(sound.stdout)["worst"] in ("ok", "warn")  # a disk may be nearly full
    assert json.loads(bad.stdout)["worst"] == "bad"
    (mlflow,) = [one for one in json.loads(bad.stdout)["findings"] if one["level"] == "bad"]
    assert mlflow["check"] == "mlflow"
