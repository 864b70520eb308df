"""Each check of what runs finds what is planted: packages, code, secrets, GPUs."""

import importlib.metadata
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes.slurm import profile

from orchestrator.controller import machine
from orchestrator.controller.doctor import programs
from orchestrator.controller.doctor.finding import Finding, Level, Look, Patient
from orchestrator.controller.machine import file_system
from orchestrator.controller.snapshot import take_snapshot
from orchestrator.jobs import code
from orchestrator.jobs.store import create_root


def found(look: Look, folder: Path, **site: Any) -> list[Finding]:
    cluster = profile(**site) if site else None
    where = {"root_path": folder / "runs", "data_root": folder / "data"}
    return [*look(Patient(**where, cluster=cluster))]


def levels(findings: list[Finding]) -> list[Level]:
    return [one.level for one in findings]


def test_the_nodes_python_is_looked_for_where_the_profile_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = found(programs.check_python, tmp_path, python=sys.executable)
    gone = found(programs.check_python, tmp_path, python="/nowhere/python")
    inside = found(
        programs.check_python, tmp_path, python="/nowhere/python", launch_prefix=["apptainer"]
    )
    monkeypatch.setattr(programs, "file_system", lambda _: "tmpfs")
    local = found(programs.check_python, tmp_path, python=sys.executable)

    assert levels(found(programs.check_python, tmp_path)) == [Level.OK]
    assert levels(here) == levels(inside) == [Level.OK, Level.OK]
    assert levels(gone) == [Level.OK, Level.BAD]
    assert levels(local) == [Level.OK, Level.WARN]


def test_packages_that_are_old_or_lacking_are_told_by_what_they_are_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.metadata.version
    sound = found(programs.check_packages, tmp_path)
    planted = {"torch": "2.3.1+cu121", "submitit": None, "mlflow": None}

    def version(name: str) -> str:
        if (planted_version := planted.get(name, "")) is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return planted_version or real(name)

    monkeypatch.setattr(programs, "version", version)
    here, on_cluster = (
        {one.found: one for one in found(programs.check_packages, tmp_path, **site)}
        for site in ({}, {"qos": "normal"})
    )

    assert set(levels(sound)) == {Level.OK}
    old = here["of training: too old: torch 2.3.1+cu121 (< 2.11)"]
    assert old.level is Level.BAD
    assert old.advice == "pip install 'orchestrate-vit[train]' --upgrade"
    assert here["of clusters: not there: submitit"].level is Level.WARN
    assert on_cluster["of clusters: not there: submitit"].level is Level.BAD
    assert on_cluster["of MLflow's pages: not there: mlflow"].level is Level.WARN


@pytest.mark.parametrize(
    ("there", "least", "older"),
    [("2.11", "2.11.0", False), ("2.9.1", "2.11", True), ("10.0", "9.9", False)],
)
def test_versions_are_compared_as_numbers(there: str, *, least: str, older: bool) -> None:
    assert programs._is_older(there, least) is older


def test_gpus_are_told_with_their_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(programs.check_gpus, tmp_path)[0].level is Level.OK
    driver = tmp_path / "proc/driver/nvidia"
    for number in range(2):
        (driver / f"gpus/0{number}").mkdir(parents=True)
        (driver / f"gpus/0{number}/information").write_text("Model: \t NVIDIA H100\nIRQ: 5\n")
    (driver / "version").write_text("NVRM version: 560.35\n")
    for module in (machine, programs):
        monkeypatch.setattr(module, "PROC", tmp_path / "proc")

    (one,) = found(programs.check_gpus, tmp_path)

    assert one.found == "2 x NVIDIA H100; NVRM version: 560.35"


def test_secrets_in_the_code_and_in_the_profile_are_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "AKIA" + "ABCDEFGHIJKLMNOP"
    sound = found(programs.check_secrets, tmp_path)
    mine = tmp_path / "model"
    mine.mkdir()
    (mine / "own.py").write_text(f"KEY = '{key}'\n")
    monkeypatch.setattr(code, "_folder_of", lambda _: mine)

    wrong = found(programs.check_secrets, tmp_path, setup=[f"export KEY={key}"])

    assert levels(sound) == [Level.OK]
    assert levels(wrong) == [Level.BAD, Level.BAD]
    assert "the profile of alpha, setup:1: an access key of AWS" in wrong[0].found
    assert "model/own.py:1: an access key of AWS" in wrong[1].found
    assert key not in str(wrong)


def test_a_copy_of_the_code_that_was_edited_is_bad(tmp_path: Path) -> None:
    root = create_root(tmp_path / "runs")
    name = take_snapshot(root)
    sound = found(programs.check_snapshots, tmp_path)
    with (root.snapshots / name / "model/flops.py").open("a") as file:
        file.write("# edited\n")

    (one,) = found(programs.check_snapshots, tmp_path)

    assert levels(sound) == [Level.OK]
    assert (one.level, name in one.found) == (Level.BAD, True)


def test_a_folder_is_on_the_file_system_that_is_mounted_nearest_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounts").write_text(
        f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path}/home nfs4 rw 0 0\n"
    )
    monkeypatch.setattr(machine, "PROC", tmp_path)

    assert file_system(tmp_path / "home" / "ann") == "nfs4"
    assert file_system(tmp_path) == "ext4"
