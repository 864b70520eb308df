import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fakes.slurm import FakeSlurm, profile, queue_line, submission
from support.pool_bench import until

from orchestrator.errors import Refused
from orchestrator.executors.slurm_queries import clean_environment
from orchestrator.executors.slurm_tender import NOT_OVER, Tender
from orchestrator.jobs.layout import Root
from orchestrator.jobs.store import create_root


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    return FakeSlurm(tmp_path / "site", monkeypatch)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = create_root(tmp_path / "my runs; touch owned")
    made.sweep("s").mkdir(parents=True)
    return made


def tender(root: Root, **changes: Any) -> Tender:
    return Tender(
        root=root,
        sweep="s",
        profile=profile(**changes),
        python="python",
        snapshot="c0de",
        every_s=60,
    )


def start(one: Tender, folder: Path) -> "subprocess.Popen[bytes]":
    """Its text, as a job of SLURM that goes on meanwhile."""
    return subprocess.Popen(["/bin/bash", "-c", one.render()], cwd=folder)


def run(one: Tender, folder: Path, **environment: str) -> int:
    """The exit code of its text, as a job of SLURM runs it."""
    done = subprocess.run(
        ["/bin/bash", "-c", one.render()],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode


def options(one: Tender) -> set[str]:
    lines = one.render().splitlines()
    return {line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")}


def test_it_asks_for_little_once_at_a_time_where_the_site_wants_it(root: Root) -> None:
    plain = tender(root)
    told = tender(root, controller_partition="cpu", account="proj42", qos="low", ask_memory=False)

    always = {f"job-name={plain.name}", "ntasks=1", "cpus-per-task=1", "dependency=singleton"}
    assert always | {"partition=gpu", "mem=2048M"} < options(plain)
    assert always | {"partition=cpu", "account=proj42", "qos=low"} < options(told)
    assert not {option for option in options(told) if option.startswith("mem")}


def test_two_sweeps_or_two_roots_have_two_tenders(root: Root, tmp_path: Path) -> None:
    other = create_root(tmp_path / "other")

    assert tender(root).name != tender(other).name
    assert tender(root).name == f"o-watch-{root.id()[:8]}-s"


@pytest.mark.parametrize(
    ("watch", "code", "takes_away"),
    [(0, 0, True), (3, 3, True), (NOT_OVER, 0, False), (1, 0, False)],
)
def test_each_start_is_followed_by_one_until_nothing_more_happens_by_itself(
    slurm: FakeSlurm, root: Root, tmp_path: Path, watch: int, code: int, *, takes_away: bool
) -> None:
    slurm.answer("python", code=watch)
    one = tender(root)

    assert run(one, tmp_path) == code
    follow = ["sbatch", "--begin=now+60", str(one.script)]
    look = ["-P", "-m", "orchestrator.cli", "watch", "s", "--once", "--root", str(root.path)]
    away = ["scancel", "--me", f"--name={one.name}", "--state=PENDING"]
    look_again = [away, ["python", *look]] if takes_away else []
    assert slurm.calls() == [follow, ["python", *look], *look_again]
    assert not (tmp_path / "owned").exists()


def test_a_careful_setup_does_not_keep_the_last_one_from_taking_its_successor_away(
    slurm: FakeSlurm, root: Root, tmp_path: Path
) -> None:
    slurm.answer("python", code=3)

    assert run(tender(root, setup=["set -euo pipefail"]), tmp_path) == 3
    assert [call[0] for call in slurm.calls()] == ["sbatch", "python", "scancel", "python"]


def test_the_last_one_is_followed_after_all_if_something_was_launched_while_it_left(
    slurm: FakeSlurm, root: Root, tmp_path: Path
) -> None:
    slurm.answer("python", code=0, after_s=0.5)
    leaving = start(tender(root), tmp_path)
    until(lambda: slurm.calls("scancel"))
    slurm.answer("python", code=NOT_OVER)

    assert leaving.wait(20) == 0
    calls = [call[0] for call in slurm.calls()]
    assert calls == ["sbatch", "python", "scancel", "python", "sbatch"]


def test_while_sbatch_fails_one_start_goes_on_looking_until_it_is_followed(
    slurm: FakeSlurm, root: Root, tmp_path: Path
) -> None:
    slurm.answer("sbatch", code=1)
    slurm.answer("python", code=NOT_OVER, after_s=0.1)
    alone = start(tender(root), tmp_path)
    until(lambda: len(slurm.calls("sbatch")) > 2)
    slurm.answer("sbatch")

    assert alone.wait(20) == 0
    calls = [call[0] for call in slurm.calls()]
    rounds = len(slurm.calls("sleep"))
    assert calls == ["sbatch", *["python", "sleep", "sbatch"] * rounds, "python"]


def test_what_its_own_job_is_does_not_reach_what_it_submits(
    slurm: FakeSlurm, root: Root, tmp_path: Path
) -> None:
    job = {"SLURM_JOB_ID": "9", "SBATCH_QOS": "x", "SLURM_CONF": "/c", "SLURM_JWT": "j"}
    one = tender(root, setup=["export SITE=1"])

    run(one, tmp_path, **job)

    told = slurm.environment("python")
    assert {name for name in told if name.startswith(("SLURM_", "SBATCH_"))} == {
        name for name in clean_environment(job) if name in job
    }
    assert told["SITE"] == "1"
    assert told["PYTHONPATH"].split(":")[0] == str(root.snapshots / "c0de")


def test_it_is_submitted_once_however_often_a_sweep_is_launched(
    slurm: FakeSlurm, root: Root
) -> None:
    one = tender(root)
    slurm.answer("sbatch", "41")
    first = one.start()
    plain = {"ArrayTaskID": "N/A", "Name": one.name}
    lines = [
        queue_line(submission("a"), 0, state, "41", **plain) for state in ("RUNNING", "COMPLETED")
    ]
    slurm.answer("squeue", lines[0])
    second = one.start()
    slurm.answer("squeue", lines[1])
    third = one.start()

    said = f"SLURM job 41 tends it every 60 s (log: {one.script.parent}/tender.log)"
    assert first == third == (said, 1)
    assert second == ("SLURM job 41 tends it already", 1)
    assert slurm.calls("sbatch") == [["--parsable", "--begin=now+60", str(one.script)]] * 2
    assert one.script.read_text() == one.render()


@pytest.mark.parametrize("command", ["squeue", "sbatch"])
def test_where_slurm_does_not_take_it_no_job_is_submitted_and_a_watch_is_proposed(
    slurm: FakeSlurm, root: Root, command: str
) -> None:
    slurm.answer(command, errors="Unable to contact slurm controller", code=1)

    with pytest.raises(Refused, match=r"none of its jobs were.*Unable.*orchestrate watch s"):
        tender(root).start()


def test_where_there_is_no_room_for_it_the_jobs_are_submitted_without_it(
    slurm: FakeSlurm, root: Root
) -> None:
    slurm.answer("sbatch", errors="sbatch: error: AssocMaxSubmitJobLimit", code=1)

    said, places = tender(root).start()

    assert "takes no more jobs of yours now (AssocMaxSubmitJobLimit)" in said
    assert places == 0
