"""What jobs take is told from jobs like them, from their operations, or from their time limit."""

import os
import re
import socket
from dataclasses import replace

import pytest
from fakes.slurm import FakeSlurm, profile
from support.pool_bench import Bench, until

from model.flops import count_training_macs
from orchestrator.config import Placement
from orchestrator.config.devices import PEAK_TFLOPS
from orchestrator.controller.budget import check_budget
from orchestrator.controller.hours import (
    UNKNOWN,
    UTILISATION,
    Estimate,
    estimates,
    finish_hours,
    jobs_at_once,
)
from orchestrator.controller.launch import Wishes, launch
from orchestrator.controller.plan import plan
from orchestrator.controller.planned import Plan
from orchestrator.controller.submit import Terms
from orchestrator.controller.survey import survey
from orchestrator.errors import SpecError
from orchestrator.executors import EXECUTORS
from orchestrator.jobs.datasets import load_manifest
from orchestrator.jobs.state import State
from orchestrator.sweep.expand import Sweep
from orchestrator.sweep.load import load_sweep

EPOCHS = 10
"""Of the jobs of a bench's sweep."""
AGES = 10**9
"""Epochs of a job that takes hours on a GPU all the same."""


def look(bench: Bench, sweep: Sweep) -> Plan:
    return plan(sweep, root_path=bench.root.path, data_root=bench.data)


def run(bench: Bench, sweep: Sweep) -> None:
    launch(sweep, root_path=bench.root.path, data_root=bench.data)
    until(lambda: set(states(bench, sweep)) == {State.DONE})


def states(bench: Bench, sweep: Sweep) -> list[State]:
    found = survey(bench.root, [point.id for point in sweep.points])
    return [found.statuses[point.id].state for point in sweep.points]


def told(planned: Plan) -> dict[str, tuple[float | None, str]]:
    """Hours and how they are known, by the names of the points."""
    names = {point.id: point.name for point in planned.sweep.points}
    return {names[job]: (one.hours, one.basis) for job, one in planned.estimates.items()}


def of(hours: float | None, devices: int = 1, *, gpu: bool = True) -> Estimate:
    return Estimate(hours=hours, devices=devices, gpu=gpu, basis="")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine is the one that stand-ins say they ran on."""
    monkeypatch.setattr(socket, "gethostname", lambda: "here")


def load(bench: Bench, *cases: str, **settings: object) -> Sweep:
    overrides = [f"{key.replace('__', '.')}={value}" for key, value in settings.items()]
    return load_sweep(bench.sweep(*cases), overrides=overrides, executors=EXECUTORS)


def on_cluster(bench: Bench, partition: dict[str, object], **settings: object) -> Estimate:
    """Of one job on two ranks of this partition of a cluster where nothing ran yet."""
    (point,) = load(bench, train__epochs=AGES, **settings).points
    point = replace(point, placement=Placement(ranks=2))
    site = profile(partitions={"gpu": partition}, stop_before_end_s=360)
    terms = Terms("slurm", None, bench.data, site)
    data = {"digits": load_manifest(bench.data, "digits")}
    return estimates(None, [point], {point.id: 1.0}, terms, data)[point.id]


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_what_a_job_takes_is_known_from_jobs_like_it_and_from_no_others(bench: Bench) -> None:
    epochs = ('point 5 {"time/epoch_s": 30}', 'point 10 {"time/epoch_s": 42}')
    bench.script("a", "claim", *epochs, "finish")
    run(bench, load(bench, "a"))
    bench.script("a", "claim", 'point 2 {"train/images_per_s": 50}', "finish")
    run(bench, load(bench, "a", model__depth=2))
    images = load_manifest(bench.data, "digits").images("train")

    def hours(**settings: object) -> tuple[float | None, str]:
        return told(look(bench, load(bench, "b", **settings)))["b"]

    assert hours(model__depth=2) == (
        pytest.approx(EPOCHS * images / 50 / 3600),
        "1 job like it here: 50 images/s",
    )
    assert hours(model__depth=3) == hours(train__batch_size=64) == (None, UNKNOWN)
    run(bench, load(bench, "c"))  # whose sweep is the newest of its name
    bench.script("d", "claim", *epochs, "finish")
    run(bench, load(bench, "d"))
    assert hours() == (pytest.approx(0.1), "1 job like it here: 36 s an epoch")


@pytest.mark.slow
def test_another_machine_says_nothing_of_this_one(bench: Bench) -> None:
    bench.script("a", "claim", 'point 5 {"time/epoch_s": 30}', "finish")
    run(bench, load(bench, "a"))

    assert told(look(bench, load(bench, "b"))) == {"b": (None, UNKNOWN)}


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_of_a_job_that_has_begun_only_the_rest_counts(bench: Bench) -> None:
    bench.script("a", "claim", 'point 4 {"time/epoch_s": 36}', "end stopped 75")
    bench.script("b", "claim", 'point 4 {"time/epoch_s": 36}', "wait")
    sweep = load(bench, "a", "b")
    launch(sweep, root_path=bench.root.path, data_root=bench.data)
    until(lambda: states(bench, sweep) == [State.PREEMPTED, State.RUNNING])
    (bench.root.job(sweep.points[0].id).checkpoints / "001-30").mkdir(parents=True)

    planned = look(bench, sweep)

    assert [one.hours for one in planned.submitted] == [pytest.approx(0.07)]
    assert [one.hours for one in planned.under_way] == [pytest.approx(0.06)]


def test_where_nothing_was_measured_operations_at_an_assumed_rate_tell(bench: Bench) -> None:
    known = {"gpus_per_node": 8, "gpu_type": "a100", "time": "1h"}
    (point,) = load(bench).points
    images = load_manifest(bench.data, "digits").images("train")
    operations = 2 * count_training_macs(point.config.model) * images * AGES
    rate = UTILISATION * PEAK_TFLOPS["A100"] * 1e12

    bf16 = on_cluster(bench, known, train__precision="bf16")
    fp32 = on_cluster(bench, known)
    no_limit = on_cluster(bench, {"gpus_per_node": 8})

    assert bf16.hours == pytest.approx(operations / (2 * rate) / 3600)
    assert bf16.gpu_hours == pytest.approx(2 * bf16.hours)
    assert bf16.basis == "operations at 35% of 312 TFLOP/s (a100), which is assumed"
    assert (fp32.hours, fp32.basis) == (0.9, "its time limit: at most one start")
    assert (no_limit.hours, no_limit.gpu_hours, no_limit.basis) == (None, None, UNKNOWN)


def test_how_often_a_time_limit_ends_a_job_counts_the_time_that_saving_takes(
    bench: Bench,
) -> None:
    known = {"gpus_per_node": 8, "gpu_type": "a100"}
    hours = on_cluster(bench, known, train__precision="bf16").hours
    assert hours is not None
    minutes = int(hours * 60)

    never, once = (
        on_cluster(bench, {**known, "time": f"{limit}m"}, train__precision="bf16").crossings
        for limit in (minutes + 7, minutes + 6)  # of which six are for saving
    )

    assert (never, once) == (0, 1)


def test_jobs_end_no_sooner_than_the_longest_and_than_their_places_allow() -> None:
    four = [of(1), of(1), of(1), of(5)]

    assert finish_hours(four, None) == 5
    assert finish_hours(four, 2) == 5
    assert finish_hours([of(3)] * 4, 2) == 6
    assert finish_hours([*four, of(None)], 1) == 8
    assert finish_hours([of(None)], 1) is None


def test_as_many_jobs_run_at_once_as_the_sweep_says_or_as_cores_allow(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(12))
    placements = [Placement(ranks=2, device="cpu")]

    assert jobs_at_once(placements, Terms("local", 3, bench.data)) == 3
    assert jobs_at_once(placements, Terms("local", None, bench.data)) == 6
    assert jobs_at_once(placements, Terms("slurm", None, bench.data, profile())) is None


def test_a_launch_beyond_its_budget_is_refused_before_anything_is_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm = FakeSlurm(bench.folder / "site", monkeypatch)
    site = profile(partitions={"gpu": {"gpus_per_node": 8, "gpu_type": "a100"}})
    path = bench.sweep("a", "b")
    path.write_text(path.read_text().replace("{device: cpu}", "{device: cuda}"))
    settings = ["train.precision=bf16", f"train.epochs={AGES}"]
    sweep = load_sweep(path, overrides=settings, executor="slurm", executors=EXECUTORS)
    where = {"root_path": bench.folder / "new", "data_root": bench.data, "cluster": site}
    cost = sum(one.gpu_hours or 0 for one in plan(sweep, **where).submitted)

    with pytest.raises(SpecError, match=re.escape(f"{cost:.4g} GPU-hours for 2 jobs: together")):
        launch(sweep, **where, wishes=Wishes(max_gpu_hours=0.9 * cost))

    assert not (bench.folder / "new").exists()
    assert [call for call in slurm.calls("sbatch") if "--test-only" not in call] == []


def test_jobs_of_unknown_cost_are_told_with_a_budget() -> None:
    note = check_budget("s", [of(2, 4), of(None)], 8)
    with pytest.raises(SpecError, match=r"8 GPU-hours .* \(1 of 2 jobs are of unknown cost"):
        check_budget("s", [of(2, 4), of(None)], 7.5)

    (words,) = note
    assert words.startswith("max_gpu_hours 8 is kept as far as is known: 1 of 2 jobs are of")
    assert check_budget("s", [of(2, 4), of(9, gpu=False)], 8) == []
