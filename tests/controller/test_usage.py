import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fakes.place import FakePlace, attempt, recorded
from fakes.slurm import profile, submission

from orchestrator.cli.main import cli
from orchestrator.controller.select import Named
from orchestrator.controller.usage import attempts_of, report
from orchestrator.errors import SpecError
from orchestrator.jobs.facts import End, Ending
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.layout import AttemptFolder, Root
from orchestrator.jobs.store import create_root
from orchestrator.jobs.submissions import (
    Submission,
    write_intent,
    write_outcomes,
    write_submitted,
)
from orchestrator.jobs.usage import GpuUse, RankUse
from orchestrator.results.usage import GB, AttemptUse

BEGAN = 1.7e9
JOBS = ("ab01", "ab02", "cd03")
RESOURCES = {"partition": "gpu", "cpus_per_gpu": 8, "mem_gb_per_node": 64, "time": "12h"}
H = 3600.0


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Root:
    FakePlace(monkeypatch)
    return create_root(tmp_path / "runs")


def launched(root: Root, *jobs: str, **changes: Any) -> Submission:
    """These jobs, each on two GPUs of the cluster alpha."""
    recorded(root, *jobs)
    known: dict[str, Any] = {"placement": {"ranks": 2}, "resources": RESOURCES}
    one = submission(*jobs, executor="fake", **{**known, **changes})
    write_intent(root, one, "")
    write_submitted(root.submission(one.token), "h")
    return one


def start(
    root: Root,
    job: str,
    one: Submission,
    number: int = 1,
    *,
    hours: float,
    began: float = BEGAN,
    from_step: int | None = None,
    told: bool = True,
) -> AttemptFolder:
    """A start of so many hours that measures ten steps an hour, and is killed at the end."""
    folder = attempt(root, job, one, number, time=began)
    with JournalWriter(folder.journal, Header(job, number, from_step, 100)):
        pass
    header = folder.journal.read_bytes()
    waits = {"time/epoch_s": H, "time/evaluate_s": H / 2, "time/data_wait_share": 0.1}
    points = [
        {"t": began + n * H, "step": (from_step or 0) + 10 * n, "epoch": n, "m": waits}
        for n in range(1, int(hours) + 1)
    ]
    lines = b"".join(json.dumps(point).encode() + b"\n" for point in points)
    folder.journal.write_bytes(header + lines)
    os.utime(folder.journal, (began + hours * H,) * 2)
    gpu = GpuUse(name="X", memory_bytes=80 * GB, peak_bytes=9 * GB, used_bytes=10 * GB, busy=0.3)
    for rank in range(2 * told):
        use = RankUse(
            rank=rank,
            host="n1",
            seconds=hours * H,
            cpu_s=hours * H,
            memory_bytes=4 * GB,
            memory_source="pss",
            gpu=gpu,
        )
        publish(folder.usage(rank), use.to_bytes())
    return folder


def end(folder: AttemptFolder, how: Ending, hours: float, **more: Any) -> None:
    told = {"end": how.value, "time": BEGAN + hours * H, "step": 10 * int(hours), **more}
    publish(folder.exit, to_json(told))


def only(root: Root, job: str) -> AttemptUse:
    (one,) = attempts_of(root, [job])
    return one


def test_an_attempt_is_told_with_what_it_asked_for_and_what_its_ranks_took(root: Root) -> None:
    end(start(root, "ab01", launched(root, "ab01"), hours=3), Ending.FINISHED, hours=3)

    one = only(root, "ab01")

    assert (one.over, one.seconds, one.lost_s, one.whole_s) == (True, 3 * H, 0, 3 * H)
    assert (one.memory_gb, one.cpus, one.busy, one.gpu_memory_gb) == (8, 2, 0.3, 10)
    assert one.waiting == pytest.approx(0.05)
    asked = one.asked
    assert (asked.place, asked.gpus, asked.cpus) == ("alpha/gpu", 2, 16)
    assert (asked.memory_gb, asked.time_s, asked.most_time_s) == (64, 12 * H, 48 * H)


def test_processors_are_told_by_the_setting_that_the_sweep_has(root: Root) -> None:
    by_rank = {"partition": "gpu", "cpus_per_rank": 8}
    for job, resources in (("ab01", by_rank), ("ab02", {"partition": "cpu"}), ("cd03", RESOURCES)):
        start(root, job, launched(root, job, resources=resources), hours=1)

    keys = [use.asked.cpus_key for use in attempts_of(root, JOBS)]

    assert keys == ["cpus_per_rank", "cpus_per_rank", "cpus_per_gpu"]


def test_a_killed_attempt_is_counted_with_the_time_beyond_where_its_job_went_on(
    root: Root,
) -> None:
    one = launched(root, "ab01")
    start(root, "ab01", one, hours=5.5)
    again = start(root, "ab01", one, 2, hours=2, began=BEGAN + 10 * H, from_step=40)
    end(again, Ending.FINISHED, hours=12)

    killed, finished = attempts_of(root, ["ab01"])

    assert (killed.seconds, killed.lost_s) == (5.5 * H, 1.5 * H)
    assert (finished.lost_s, finished.whole_s) == (0, 6 * H)


def test_a_start_that_failed_before_its_first_checkpoint_came_to_nothing(root: Root) -> None:
    end(start(root, "ab01", launched(root, "ab01"), hours=2), Ending.ERROR, hours=2)

    one = only(root, "ab01")

    assert (one.lost_s, one.whole_s) == (2 * H, None)


def test_what_a_place_or_a_signal_says_of_an_end_is_counted(root: Root) -> None:
    one = launched(root, *JOBS)
    for job in JOBS[:2]:
        start(root, job, one, hours=1)
    end(start(root, "cd03", one, hours=1), Ending.STOPPED, hours=1, signal="SIGUSR2")
    ends = [
        End(BEGAN + 1.5 * H, started=True, by_place=True, kind=kind) for kind in ("time", "memory")
    ]
    plain = [{name: getattr(one, name) for name in End.__slots__} for one in ends]
    write_outcomes(root.submission(one.token), [{"index": n, **p} for n, p in enumerate(plain)])

    told = attempts_of(root, JOBS)

    assert [use.at_limit for use in told] == [True, False, True]
    assert [use.lacked_memory for use in told] == [False, True, False]
    assert [use.seconds / H for use in told] == [1.5, 1.5, 1]


def test_jobs_that_share_a_gpu_are_told_their_part_of_it(root: Root) -> None:
    shared = {**RESOURCES, "jobs_per_allocation": 4, "jobs_per_gpu": 4}
    one = launched(root, "ab01", "ab02", "ab03", "ab04", resources=shared, placement={"ranks": 1})
    start(root, "ab01", one, hours=1, told=False)

    assert only(root, "ab01").asked.gpus == 0.25


def test_a_record_that_cannot_be_read_hides_no_other_and_untold_starts_are_counted(
    root: Root,
) -> None:
    one = launched(root, *JOBS)
    for job in JOBS:
        start(root, job, one, hours=1, told=job != "cd03")
    root.job("ab01").record.write_text("{")

    told = report(root, [Named(job, job) for job in JOBS], ())

    assert (told.total.starts, told.untold) == (3, 1)


def test_the_report_fits_a_terminal_and_ends_in_lines_for_a_sweep(root: Root) -> None:
    one = launched(root, *JOBS)
    for n, job in enumerate(JOBS):
        end(start(root, job, one, hours=2 + n / 2), Ending.FINISHED, hours=2 + n / 2)

    run = CliRunner().invoke(cli, ["usage", "--root", str(root.path)], catch_exceptions=False)

    assert run.exit_code == 0
    assert max(map(len, run.output.splitlines())) <= 80
    words = {" ".join(line.split()) for line in run.output.splitlines()}
    assert words >= {
        "alpha/gpu: 1 node, 2 ranks, 2 GPUs, 16 CPUs",
        "3 jobs, 3 done, 3 starts; 0 reached the time limit",
        "time of a job 12.0 h 2.5 h 3.0 h 25%",
        "memory of a node 64 GB 8 GB 8 GB 12%",
        "processors 16 2 2 12%",
        "memory of a GPU 80 GB 10 GB 10 GB 12%",
        "GPU busy 30% 30%",
        "15 GPU-hours, of which 0 (0%) came to nothing; GPUs idle 10.5 (70%)",
        "time: 3h45m",
        "mem_gb_per_node: 10",
        "cpus_per_gpu: 2",
        "jobs_per_gpu: 3",
        "# would have saved 10 GPU-hours, if sharing slows nothing down",
    }


def test_before_anything_has_started_that_is_said_and_an_unknown_axis_is_refused(
    root: Root,
) -> None:
    launched(root, "ab01")
    words = ["usage", "--root", str(root.path)]

    assert CliRunner().invoke(cli, words).output == "No job has started yet.\n"
    with pytest.raises(SpecError, match=r"'model\.wings' is neither an axis"):
        CliRunner().invoke(cli, [*words, "--by", "model.wings"], catch_exceptions=False)


def test_json_has_the_documented_keys(root: Root) -> None:
    start(root, "ab01", launched(root, "ab01"), hours=2)
    figures = (
        "jobs done starts limits_reached time_s memory_gb gpu_memory_gb gpu_busy cpus waiting "
        "hours hours_lost gpu_hours gpu_hours_lost gpu_hours_idle"
    )

    run = CliRunner().invoke(cli, ["usage", "--root", str(root.path), "--json"])
    printed = json.loads(run.output)

    assert printed["schema"] == 1
    assert " ".join(printed) == "schema sweep total shapes axes untold"
    assert " ".join(printed["total"]) == figures
    assert " ".join(printed["shapes"][0]) == f"asked {figures} suggested missing"


def test_on_a_machine_a_job_has_gpus_if_it_asks_for_them_or_takes_what_is_there(
    root: Root,
) -> None:
    one = launched(root, *JOBS, cluster=None, placement={"ranks": 2}, resources={})
    for job in JOBS[:2]:
        start(root, job, one, hours=2, told=False)
    environment = root.job("ab01").attempt(1).environment
    publish(environment, to_json({"gpus": {"0000:01:00.0": "NVIDIA X"}}))
    asking = launched(root, "cd03", cluster=None, placement={"device": "cuda"}, resources={})
    start(root, "cd03", asking, hours=2, told=False)

    told = attempts_of(root, JOBS)

    assert [use.asked.gpus for use in told] == [2, 0, 1]
    assert [use.asked.cluster for use in told] == [False] * 3


def test_jobs_of_a_site_without_limits_are_told_too(root: Root) -> None:
    plain = profile(partitions={"gpu": {"gpus_per_node": 8}})
    one = launched(root, "ab01", cluster=plain, resources={})
    start(root, "ab01", one, hours=2)

    asked = only(root, "ab01").asked

    assert (asked.time_s, asked.memory_gb, asked.most_time_s) == (None, None, None)
