import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from orchestrator.worker import environment
from orchestrator.worker.claim import Membership, claim
from orchestrator.worker.environment import FACTS, VARIABLES, read_environment
from orchestrator.worker.place import Place

HARMLESS = {"OMP_NUM_THREADS": "1", "SLURM_JOB_ID": "7", "NCCL_DEBUG": "INFO"}
WITHOUT_PROGRAMS = """
import json, sys
from orchestrator.worker.environment import read_environment
def no_programs(event, _):
    assert event not in ("subprocess.Popen", "os.fork", "os.posix_spawn", "os.system"), event
sys.addaudithook(no_programs)
print(json.dumps([read_environment(), "torch" in sys.modules]))
"""
VERSION = """\
NVRM version: NVIDIA UNIX x86_64 Kernel Module  560.35.03  Fri Aug 16 21:39:15 UTC 2024
GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)
"""
INFORMATION = "Model: \t\t NVIDIA A100-SXM4-40GB\nIRQ:   \t\t 45\nGPU UUID: \t GPU-1f\n"


def test_an_attempt_has_its_environment_from_the_moment_it_is_claimed(
    member: Callable[[], Membership],
) -> None:
    attempt = claim(member(), Place(), 1)

    told = json.loads(attempt.environment.read_bytes())
    assert told.keys() == {"schema", "variables", *FACTS}
    assert told["packages"]["torch"] == version("torch")
    assert list(told["packages"]) == sorted(told["packages"])
    assert (told["python"], told["executable"]) == (platform.python_version(), sys.executable)
    assert told["cores"] == len(os.sched_getaffinity(0))
    assert told["memory_gb"] > 0.1


def test_reading_it_starts_no_program_and_loads_no_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PROGRAMS], capture_output=True, text=True, check=True
    )

    told, torch = json.loads(done.stdout)
    assert not torch
    assert [name for name in ("packages", "kernel", "machine", "libc") if not told[name]] == []


def test_driver_and_gpus_are_read_where_there_are_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "PROC", tmp_path)
    without = read_environment({})
    folder = tmp_path / "driver/nvidia"
    for place in ("0000:1b:00.0", "0000:43:00.0"):
        (folder / "gpus" / place).mkdir(parents=True)
        (folder / "gpus" / place / "information").write_text(INFORMATION)
    (folder / "version").write_text(VERSION)

    told = read_environment({})

    assert (without["driver"], without["gpus"], without["processor"]) == (None, {}, None)
    assert "Kernel Module  560.35.03 " in told["driver"]
    assert set(told["gpus"].values()) == {"NVIDIA A100-SXM4-40GB"}
    assert set(told["gpus"]) == {"0000:1b:00.0", "0000:43:00.0"}


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_that_cannot_be_read_is_null_and_the_job_is_claimed_all_the_same(
    member: Callable[[], Membership], monkeypatch: pytest.MonkeyPatch, fact: str
) -> None:
    def broken() -> Any:
        raise PermissionError(13, "hidden from users")

    whole = read_environment()
    monkeypatch.setitem(FACTS, fact, broken)
    attempt = claim(member(), Place(), 1)

    assert json.loads(attempt.environment.read_bytes()) == {**whole, fact: None}


def test_a_damaged_package_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (("empty", None), ("blank", ""), ("sound", "Name: sound\nVersion: 1\n")):
        (tmp_path / f"{name}-1.dist-info").mkdir()
        if content is not None:
            (tmp_path / f"{name}-1.dist-info" / "METADATA").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)

    told = read_environment({})["packages"]

    assert told["sound"] == "1"
    assert "torch" in told
    assert not {"empty", "blank", "", "None"} & told.keys()


def test_of_the_environment_only_what_is_known_to_be_harmless_is_kept() -> None:
    drawn = "Zx81mKq07Lw2Rt9vBn4c"
    private = {"WANDB_API_KEY": drawn, "AWS_SECRET_ACCESS_KEY": drawn, "MY_NOTES": "mine"}
    misused = {"LD_PRELOAD": f"https://ann:{drawn}@host/lib.so"}

    told = read_environment({**HARMLESS, **private, **misused})

    assert told["variables"] == HARMLESS
    assert not [name for name in VARIABLES if "KEY" in name or "TOKEN" in name or "PASS" in name]
