"""MLflow shows what the journals say: the same runs, each point once, whatever happened before."""

import shutil
from collections import Counter
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mirror.conftest import STUDY, Lab
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from orchestrator.errors import BusyError
from orchestrator.jobs.facts import Ending
from orchestrator.mirror import store

CALLS = (
    *("get_experiment_by_name", "create_experiment", "create_run", "log_batch", "set_tag"),
    *("update_run", "set_terminated", "search_runs", "delete_run", "log_inputs", "log_artifacts"),
    *("get_experiment", "set_experiment_tag"),
)


@pytest.fixture
def full(lab: Lab) -> Lab:
    """A finished job, one that runs, one that failed, one that only waits."""
    one = lab.submit("done", "runs", "failed", "waits")
    lab.measure(one, "done", range(0, 50, 10), ending=Ending.FINISHED)
    lab.measure(one, "runs", range(0, 40, 10), saved=20)
    lab.measure(one, "failed", range(0, 30, 10), ending=Ending.ERROR)
    return lab


def test_runs_show_configuration_state_and_every_point_of_the_journals(full: Lab) -> None:
    done = full.sync()

    assert (done.created, done.refused) == (3, {})
    shown = {run["name"]: run for run in full.dump().values()}
    assert {name: run["status"] for name, run in shown.items()} == {
        "done": "FINISHED",
        "runs": "RUNNING",
        "failed": "FAILED",
    }
    run = shown["done"]
    assert run["params"]["optim.lr"] == "0.001"
    assert run["params"]["model.gate"] == "null"
    assert run["tags"]["state"] == "DONE"
    assert (run["tags"]["sweeps"], run["tags"]["data_hash"]) == ("s", "da7a")
    assert run["tags"]["orchestrate.root"] == full.root.id()
    steps = {metric: [point[0] for point in points] for metric, points in run["history"].items()}
    assert steps == {key: [0, 10, 20, 30, 40] for key in ("train/loss", "val/top1", "epoch")}
    assert run["history"]["train/loss"][2][2] == "nan"
    assert run["inputs"] == [("digits", "da7a", ["training"])]


def test_pictures_are_named_so_that_the_page_finds_key_step_and_time(full: Lab) -> None:
    full.sync()

    shown = {run["name"]: run for run in full.dump().values()}
    assert shown["done"]["tags"]["mlflow.loggedImages"] == "True"
    at = {step: time for step, time, _ in shown["done"]["history"]["val/top1"]}
    whole = [name for name in shown["done"]["pictures"] if "compressed" not in name]
    assert [name.rpartition("+")[0] for name in whole] == [
        f"images/norm_map+step+{step}+timestamp+{at[step]}" for step in (0, 20, 40)
    ]
    small = [name for name in shown["done"]["pictures"] if name not in whole]
    assert small == [name.replace(".png", "+compressed.webp") for name in whole]


def test_a_probe_of_which_nothing_is_saved_yet_shows_no_picture(lab: Lab) -> None:
    lab.measure(lab.submit("a"), "a", range(0, 50, 10), saved=30)
    lab.sync()

    (run,) = lab.dump().values()
    assert {name.split("+")[2] for name in run["pictures"]} == {"0", "20"}


def test_of_a_job_that_runs_only_what_is_saved_is_shown(full: Lab) -> None:
    full.sync()

    (runs,) = [run for run in full.dump().values() if run["name"] == "runs"]
    assert [point[0] for point in runs["history"]["val/top1"]] == [0, 10, 20]


def test_a_second_sync_sends_nothing_and_a_third_only_what_is_new(full: Lab) -> None:
    full.sync()
    before = full.dump()
    again = full.sync()
    assert (again.created, again.updated, again.points) == (0, 0, 0)
    assert full.dump() == before
    (full.root.job(full.jobs["runs"]).checkpoints / "001-000000030").mkdir()
    third = full.sync()

    assert (third.created, third.updated, third.points) == (0, 1, 1)


def test_the_memory_of_what_was_sent_may_be_lost(full: Lab) -> None:
    full.sync()
    before = full.dump()
    shutil.rmtree(full.root.mirror)
    again = full.sync()

    assert (again.created, again.updated) == (0, 0)
    assert full.dump() == before


def test_a_store_that_was_deleted_is_made_anew(full: Lab, empty_store: Path) -> None:
    full.sync()
    before = full.dump()
    shutil.copyfile(empty_store, full.uri.removeprefix("sqlite:///"))
    full.sync()

    assert full.dump() == before


def test_a_run_that_somebody_deleted_comes_back_when_its_job_goes_on(full: Lab) -> None:
    full.sync()
    client = MlflowClient(tracking_uri=full.uri)
    experiment = client.get_experiment_by_name(STUDY).experiment_id
    (run,) = client.search_runs([experiment], "attributes.run_name = 'runs'")
    client.delete_run(run.info.run_id)
    full.end("runs", 1, Ending.FINISHED, step=30)
    done = full.sync()

    assert (done.created, done.refused) == (1, {})
    (runs,) = [run for run in full.dump().values() if run["name"] == "runs"]
    assert [point[0] for point in runs["history"]["val/top1"]] == [0, 10, 20, 30]


def test_what_was_measured_anew_is_shown_once(lab: Lab) -> None:
    one = lab.submit("a")
    lab.measure(one, "a", range(0, 50, 10), saved=20, ending=Ending.ERROR)
    lab.sync()
    lab.measure(lab.submit("a"), "a", range(30, 60, 10), number=2, ending=Ending.FINISHED)
    lab.sync()

    (run,) = lab.dump().values()
    points = run["history"]["train/loss"]
    assert [point[0] for point in points] == [0, 10, 20, 30, 40, 50]
    assert points[3][2] == repr(1 / 32)
    assert (run["status"], run["tags"]["starts"]) == ("FINISHED", "2")


def test_a_store_that_is_put_back_from_a_copy_gets_what_it_lacks(lab: Lab) -> None:
    file = Path(lab.uri.removeprefix("sqlite:///"))
    one = lab.submit("a")
    lab.measure(one, "a", range(0, 50, 10), saved=20)
    lab.sync()
    shutil.copyfile(file, file.with_suffix(".copy"))
    (lab.root.job(lab.jobs["a"]).checkpoints / "001-000000040").mkdir()
    lab.sync()
    shutil.copyfile(file.with_suffix(".copy"), file)
    lab.end("a", 1, Ending.FINISHED, step=40)
    lab.sync()

    (run,) = lab.dump().values()
    assert [point[0] for point in run["history"]["val/top1"]] == [0, 10, 20, 30, 40]


def test_an_experiment_that_was_deleted_comes_back_without_runs_that_were_removed(lab: Lab) -> None:
    lab.measure(lab.submit("a"), "a", range(0, 50, 10), saved=20, ending=Ending.ERROR)
    lab.sync()
    lab.measure(lab.submit("a"), "a", range(30, 60, 10), number=2, ending=Ending.FINISHED)
    lab.sync()
    calm = lab.dump()
    client = MlflowClient(tracking_uri=lab.uri)
    client.delete_experiment(client.get_experiment_by_name(lab.study).experiment_id)
    lab.sync()

    assert lab.dump() == calm


def test_a_mirror_that_another_took_over_from_leaves_the_others_runs_alone(
    full: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = store.Store.create

    def slowly(self: store.Store, *args: Any) -> str:
        """Makes a run after another mirror, which believed this one dead, has made it."""
        monkeypatch.setattr(store.Store, "create", create)
        for lease in full.root.mirror.glob("*.lease"):
            shutil.rmtree(lease)
        full.sync()
        return create(self, *args)

    monkeypatch.setattr(store.Store, "create", slowly)
    with pytest.raises(BusyError, match="took over"):
        full.sync()
    calm = full.dump()
    full.sync()

    assert {run["name"] for run in calm.values()} == {"done", "runs", "failed"}
    assert full.dump() == calm


def test_what_cannot_be_shown_of_a_job_hides_nothing_else(lab: Lab) -> None:
    one = lab.submit("picture", "drawing", "record", "good")
    for name in ("picture", "drawing", "record", "good"):
        lab.measure(one, name, range(0, 50, 10), ending=Ending.FINISHED)
    next(lab.root.job(lab.jobs["picture"]).probes.iterdir()).write_bytes(b"no zip")
    drawn = np.frombuffer(b"no PNG", np.uint8)
    np.savez(
        next(lab.root.job(lab.jobs["drawing"]).probes.iterdir()), **{"picture/norm_map": drawn}
    )
    lab.root.job(lab.jobs["record"]).record.write_text("{}")
    done = lab.sync()

    assert done.refused.keys() == {"picture", "drawing", "record"}
    shown = {run["name"]: run for run in lab.dump().values()}
    assert shown.keys() == {"picture", "drawing", "good"}
    assert len(shown["drawing"]["pictures"]) == 4
    assert shown["picture"]["history"].keys() == shown["good"]["history"].keys()


def test_jobs_that_the_store_refuses_for_good_hide_no_others(lab: Lab) -> None:
    names = ("a", "b", "c", "d", "good")
    one = lab.submit(*names)
    for name in names:
        lab.measure(one, name, range(0, 30, 10), ending=Ending.FINISHED)
    for name in names[:-1]:
        journal = lab.root.job(lab.jobs[name]).attempt(1).journal
        journal.write_text(journal.read_text().replace("val/top1", "val/top@1"))
    done = lab.sync()

    assert done.refused.keys() == {"a", "b", "c", "d"}
    (good,) = [run for run in lab.dump().values() if run["name"] == "good"]
    assert good["status"] == "FINISHED"


def test_without_room_for_pictures_every_curve_is_shown(
    full: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    full.sync()
    calm = full.dump()
    shutil.rmtree(full.root.mirror)
    full.study = "other"
    monkeypatch.setattr(store, "PAUSES_S", ())
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_artifacts", without_room)
        done = full.sync()
        shown = full.dump()
    full.sync()

    assert "No space left" in next(iter(done.refused.values()))
    assert {k: run["history"] for k, run in shown.items()} == {
        k: run["history"] for k, run in calm.items()
    }
    assert {k: run["pictures"] for k, run in full.dump().items()} == {
        k: run["pictures"] for k, run in calm.items()
    }


def without_room(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_reason_with_characters_that_control_is_shown_without_them(lab: Lab) -> None:
    one = lab.submit("a")
    lab.measure(one, "a", range(0, 50, 10), saved=20)
    lab.end_member(one, kind="memory", detail="out of\x00memory\x1b[0m")
    lab.sync()

    (run,) = lab.dump().values()
    assert (run["status"], run["tags"]["reason"]) == ("FAILED", "out of\ufffdmemory\ufffd[0m")


@pytest.mark.parametrize("survives", ["memory", "nothing"])
def test_points_on_their_way_when_a_mirror_was_killed_are_not_shown_beside_newer_ones(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, survives: str
) -> None:
    one = lab.submit("a")
    lab.measure(one, "a", range(0, 30, 10), saved=20)
    lab.sync()
    attempt = lab.root.job(lab.jobs["a"]).attempt(1)
    with attempt.journal.open("a") as journal:
        journal.write('{"t": 5.0, "step": 30, "epoch": 3, "m": {"val/top1": 30.0}}\n')
    lab.end("a", 1, Ending.ERROR)
    with monkeypatch.context() as patch:
        patch.setattr(store.Store, "mark", dying)
        with pytest.raises(Dying):
            lab.sync()
    if survives == "nothing":
        shutil.rmtree(lab.root.mirror)
    lab.measure(lab.submit("a"), "a", range(30, 50, 10), number=2, ending=Ending.FINISHED)
    lab.sync()

    (run,) = lab.dump().values()
    assert [point[0] for point in run["history"]["val/top1"]] == [0, 10, 20, 30, 40]


@pytest.mark.parametrize(
    ("how", "status", "state"),
    [
        ({"cancelled": True, "detail": "cancelled with scancel"}, "KILLED", "CANCELLED"),
        ({"kind": "memory", "detail": "out of memory"}, "FAILED", "FAILED"),
        ({"by_place": True, "detail": "preempted"}, "SCHEDULED", "PREEMPTED"),
    ],
)
def test_a_run_whose_job_was_ended_says_so_after_one_sync(
    lab: Lab, how: dict[str, Any], status: str, state: str
) -> None:
    one = lab.submit("a")
    lab.measure(one, "a", range(0, 50, 10), saved=20)
    lab.sync()
    assert [run["status"] for run in lab.dump().values()] == ["RUNNING"]
    lab.end_member(one, **how)
    lab.sync()

    (run,) = lab.dump().values()
    assert (run["status"], run["tags"]["state"]) == (status, state)
    assert run["tags"]["reason"] == how["detail"]


class Dying(Exception):  # noqa: N818 - as a kill: nothing catches it
    pass


def dying(*_: object) -> None:
    raise Dying


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_mirror_that_is_killed_at_any_call_leaves_what_the_next_one_completes(
    full: Lab, empty_store: Path, monkeypatch: pytest.MonkeyPatch, *, before: bool
) -> None:
    full.sync()
    calm = full.dump()
    fatal = 0
    while True:
        shutil.copyfile(empty_store, full.uri.removeprefix("sqlite:///"))
        shutil.rmtree(full.root.mirror)
        with monkeypatch.context() as patch:
            calls = dies_at(patch, fatal, before=before)
            try:
                full.sync()
            except Dying:
                pass
            else:
                break
        full.sync()
        assert full.dump() == calm, f"killed at {calls} calls"
        fatal += 1

    assert fatal > 15


def dies_at(patch: pytest.MonkeyPatch, fatal: int, *, before: bool) -> Counter[str]:
    """Let the call with this number die, before or after it had its effect."""
    calls: Counter[str] = Counter()

    def dying(name: str, real: Any) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            last = calls.total() == fatal
            calls[name] += 1
            if last and before:
                raise Dying
            answer = real(*args, **more)
            if last:
                raise Dying
            return answer

        return call

    for name in CALLS:
        patch.setattr(MlflowClient, name, dying(name, getattr(MlflowClient, name)))
    return calls


def test_a_store_that_fails_every_third_request_is_complete_in_the_end(
    full: Lab, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full.sync()
    calm = full.dump()
    shutil.copyfile(empty_store, full.uri.removeprefix("sqlite:///"))
    shutil.rmtree(full.root.mirror)
    calls = Counter[str]()
    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(MlflowClient, name, failing(getattr(MlflowClient, name), calls))
        patch.setattr(store, "PAUSES_S", (0.0, 0.0))
        full.sync()

    assert calls["failed"] > 3
    assert full.dump() == calm


def failing(real: Any, calls: Counter[str]) -> Any:
    def call(*args: Any, **more: Any) -> Any:
        calls["all"] += 1
        if calls["all"] % 3 == 0:
            calls["failed"] += 1
            raise MlflowException("the server is tired")
        return real(*args, **more)

    return call


def test_two_mirrors_at_once_leave_one_run_a_job(full: Lab, empty_store: Path) -> None:
    full.sync()
    calm = full.dump()
    other = full.root.path.parent / "other.db"
    shutil.copyfile(empty_store, other)
    full.uri = f"sqlite:///{other}"
    context = get_context("spawn")
    mirrors = [context.Process(target=full.sync) for _ in range(2)]
    for mirror in mirrors:
        mirror.start()
    for mirror in mirrors:
        mirror.join(60)

    assert [mirror.exitcode for mirror in mirrors] == [0, 0]
    assert full.dump() == calm
