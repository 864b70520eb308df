"""A machine that only launches and looks: without torch, numpy and the like."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.pool_bench import Bench

from orchestrator.extras import EXTRAS
from orchestrator.jobs.store import create_root

SWEEP = Path(__file__).parents[2] / "sweeps" / "quickstart.yaml"
WITHOUT = """
import sys
sys.modules.update(dict.fromkeys({missing!r}))
from orchestrator.cli.main import main
main()
"""


def orchestrate(
    *words: str, missing: tuple[str, ...] = tuple(EXTRAS)
) -> "subprocess.CompletedProcess[str]":
    code = WITHOUT.format(missing=missing)
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )


def test_costs_are_counted_without_any_extra() -> None:
    done = orchestrate("flops", str(SWEEP))

    assert done.returncode == 0, done.stderr
    assert "vanilla" in done.stdout


@pytest.mark.parametrize("words", ["status", "watch"])
def test_a_root_is_looked_at_and_tended_without_any_extra(tmp_path: Path, words: str) -> None:
    create_root(tmp_path / "runs")
    done = orchestrate(words, "--root", str(tmp_path / "runs"))

    assert done.returncode == 0, done.stderr


def test_a_watch_that_cannot_show_what_it_sees_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.orchestrate("launch", str(bench.sweep("a")), "--wait")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://far")
    done = orchestrate("watch", "--root", str(bench.root.path), missing=("mlflow",))

    assert done.returncode == 0
    assert "pip install 'orchestrate-vit[mlflow]'" in done.stdout


@pytest.mark.parametrize(
    ("missing", "extra"), [("numpy", "data"), ("webdataset", "data"), ("sklearn", "digits")]
)
def test_what_needs_an_extra_names_it(tmp_path: Path, missing: str, extra: str) -> None:
    words = ("data", "prepare", "digits", "--data-root", str(tmp_path / "data"))
    done = orchestrate(*words, missing=(missing,))

    assert done.returncode == 1
    assert f"orchestrate-vit[{extra}]" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data" / "digits").exists()


def test_launching_here_without_torch_is_refused_before_anything_is_made(
    tmp_path: Path, digits: Path
) -> None:
    places = ("--root", str(tmp_path / "runs"), "--data-root", str(digits))
    done = orchestrate("launch", str(SWEEP), *places)

    assert done.returncode == 1
    assert "orchestrate-vit[train]" in done.stderr
    assert not (tmp_path / "runs").exists()
