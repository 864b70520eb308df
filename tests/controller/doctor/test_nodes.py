"""What a node answers is judged; a job that gives no answer is withdrawn and told."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes.slurm import FakeSlurm, profile

from orchestrator.controller.doctor import nodes
from orchestrator.controller.doctor.finding import Finding, Level, Patient

ANSWER: dict[str, Any] = {
    "host": "node7",
    "python": "3.11.2",
    "skew_s": 0.0,
    "gpus": 1,
    "packages": {"torch": "2.11.0", "timm": "1.0.23", "webdataset": "1.0", "pydantic": "2.12"},
    "data": True,
}


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    made = FakeSlurm(tmp_path / "site", monkeypatch)
    made.answer("sbatch", "77")
    return made


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    (tmp_path / "runs").mkdir()
    return Patient(
        root_path=tmp_path / "runs",
        data_root=tmp_path / "data",
        cluster=profile(account="proj42", setup=["module load cuda"], extra={"exclusive": ""}),
    )


def asked(patient: Patient, wait_s: float = 0.2) -> list[Finding]:
    found = [*nodes.check_node(patient, wait_s)]
    assert [*patient.root_path.iterdir()] == []  # nothing is left there
    return found


@pytest.mark.parametrize(
    ("wrong", "level", "words"),
    [
        ({}, Level.OK, "node7 sees the run root: Python 3.11.2, torch 2.11.0"),
        ({"gpus": "OSError: no libcuda"}, Level.WARN, "torch sees OSError: no libcuda"),
        ({"packages": {"torch": None}}, Level.BAD, "Python 3.11.2 lacks torch"),
        ({"data": False}, Level.BAD, "node7 does not see the data root"),
        ({"skew_s": -40.0}, Level.WARN, "are 40.0 s apart"),
    ],
    ids=["sound", "GPU", "package", "data", "clock"],
)
def test_what_a_node_lacks_is_told(
    patient: Patient, wrong: dict[str, Any], level: Level, words: str
) -> None:
    found = [*nodes._judged({**ANSWER, **wrong}, patient)]

    assert [one.level for one in found if words in one.found] == [level]
    assert {one.level for one in found} <= {Level.OK, level}


def test_a_job_that_does_not_start_or_ends_without_an_answer_is_told(
    slurm: FakeSlurm, patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "TICK_S", 0.05)
    slurm.answer("squeue", "PENDING")
    (waiting,) = asked(patient)
    slurm.answer("squeue", "FAILED")
    (failed,) = asked(patient)
    slurm.answer("sbatch", errors="sbatch: error: Invalid account", code=1)
    (refused,) = asked(patient)

    assert (waiting.level, "did not start within 0 s" in waiting.found) == (Level.WARN, True)
    assert (failed.level, "gave no answer (FAILED)" in failed.found) == (Level.BAD, True)
    assert (refused.level, "Invalid account" in refused.found) == (Level.BAD, True)
    assert slurm.calls("scancel") == [["--quiet", "77"]] * 2


def test_the_job_is_asked_for_as_the_site_wants_it(patient: Patient, tmp_path: Path) -> None:
    assert patient.cluster is not None

    text = nodes.render(patient.cluster, patient, tmp_path / "a corner")

    lines = text.splitlines()
    assert {
        "#SBATCH --partition=gpu",
        "#SBATCH --account=proj42",
        "#SBATCH --gpus-per-node=1",
        "#SBATCH --exclusive",
        "module load cuda",
    } <= {*lines}
    assert lines[-1].endswith(f"-P probe.py '{tmp_path}/a corner/answer.json' {tmp_path}/data")


def test_the_node_is_one_of_the_partition_that_jobs_run_in(patient: Patient) -> None:
    partitions = {"small": {}, "gpu": {"gpus_per_node": 4}}
    cluster = profile(partitions=partitions, default_partition="gpu")

    text = nodes.render(cluster, patient, Path("/corner"))

    assert {"#SBATCH --partition=gpu", "#SBATCH --gpus-per-node=1"} <= {*text.splitlines()}


@pytest.mark.slow
def test_the_probe_tells_all_that_is_judged(patient: Patient, tmp_path: Path) -> None:
    answer = tmp_path / "answer.json"

    command = [sys.executable, "-P", "-c", nodes.PROBE, str(answer), str(tmp_path)]
    subprocess.run(command, check=True)

    told = json.loads(answer.read_bytes())
    assert told.keys() == ANSWER.keys()
    assert (told["data"], told["packages"].keys()) == (True, ANSWER["packages"].keys())
    assert [one.level for one in nodes._judged({**told, "gpus": 1}, patient)] == [Level.OK]


def test_without_a_profile_no_job_is_submitted(slurm: FakeSlurm, patient: Patient) -> None:
    without = Patient(root_path=patient.root_path, data_root=patient.data_root)

    assert [one.level for one in asked(without)] == [Level.WARN]
    assert slurm.calls("sbatch") == []
