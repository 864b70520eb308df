from pathlib import Path

import pytest

from orchestrator.jobs.located import locate_data, locate_root
from orchestrator.jobs.store import create_root


def test_a_root_is_the_one_asked_for_else_the_variables_else_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert locate_root(None) == below / "runs"

    create_root(tmp_path / "runs")
    assert locate_root(None) == tmp_path / "runs"
    monkeypatch.setenv("ORCHESTRATE_ROOT", "/else")
    assert locate_root(None) == Path("/else")
    assert locate_root("here") == below / "here"


def test_the_data_root_is_the_one_asked_for_else_the_variables_else_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert locate_data(None) == tmp_path / "data"
    monkeypatch.setenv("ORCHESTRATE_DATA", "/else")
    assert locate_data(None) == Path("/else")
    assert locate_data("here") == tmp_path / "here"
