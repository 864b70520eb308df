"""A verb is killed at every one of its steps; what comes after makes everything good."""

import json
import os
import shutil
import time

import pytest
from fakes.arrays import leave
from support.forge import Forge, Ran, Run
from support.pool_bench import Bench, until
from support.scene import Scene, steps_of
from support.walks import (
    CANCEL,
    CONTROLLED,
    GC,
    HEARD_S,
    LAUNCH,
    OVER,
    WALKS,
    WATCH,
    Walk,
    comes_right,
    is_tidy,
    litter,
    something_to_free,
    under_way,
)

from orchestrator.jobs.facts import Ending

pytestmark = pytest.mark.slow
PACES = pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.soak)])
"""One step of so many: all of them take minutes."""


@PACES
@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS)
def test_a_verb_that_is_killed_at_any_step_loses_and_doubles_nothing(
    scene: Scene, walk: Walk, every: int
) -> None:
    walk.begin(scene)
    scene.keep()
    did = scene.orchestrate(*walk.words).did
    for number, step in enumerate(steps_of(did, every)):
        scene.restore()
        where = f"killed at {step}, {did[step]}"
        assert scene.orchestrate(*walk.words, at=step).code == -9, where
        comes_right(scene, walk.asked, (LAUNCH, WATCH)[number % 2], where)


@PACES
def test_a_launch_with_a_controller_that_is_killed_at_any_step_ends_in_one_controller(
    scene: Scene, every: int
) -> None:
    scene.launch()
    scene.keep()
    did = scene.orchestrate(*CONTROLLED).did
    for step in steps_of(did, every):
        scene.restore()
        where = f"killed at {step}, {did[step]}"
        assert scene.orchestrate(*CONTROLLED, at=step).code == -9, where
        time.sleep(HEARD_S if "started" in where else 0)
        assert scene.orchestrate(*CONTROLLED).code == 0, where

        assert (set(scene.asked().values()), scene.site.tenders()) == ({1}, 1), where


@PACES
def test_a_fresh_start_that_is_killed_at_any_step_discards_what_it_said_once_or_nothing(
    scene: Scene, every: int
) -> None:
    scene.launch()
    scene.works()
    scene.states()
    scene.keep()
    fresh = (*LAUNCH, "--fresh", "a", "--fresh", "b", "--yes")
    did = scene.orchestrate(*fresh).did
    for number, step in enumerate(steps_of(did, every)):
        scene.restore()
        where = f"killed at {step}, {did[step]}"
        assert scene.orchestrate(*fresh, at=step).code == -9, where
        ordered = any(scene.root.orders.glob("[0-9]*.json"))
        again = 2 if ordered else 1

        for _ in range(2):
            assert scene.orchestrate(*(LAUNCH, WATCH)[number % 2]).code in OVER, where
            time.sleep(HEARD_S if "started" in where else 0)
            scene.age_intents()
        assert scene.launch().code == 0, where
        scene.works()

        assert set(scene.states().values()) == {"DONE"}, where
        assert scene.asked() == {"a": again, "b": again, "c": 1}, where
        assert scene.finished()[scene.job("a")] == again, where


@pytest.mark.parametrize("every", [2, pytest.param(1, marks=pytest.mark.soak)])
def test_a_cancel_that_is_killed_at_any_step_cancels_in_the_end_or_did_nothing(
    scene: Scene, every: int
) -> None:
    under_way(scene)
    scene.keep()
    did = scene.orchestrate(*CANCEL).did
    for number, step in enumerate(steps_of(did, every)):
        scene.restore()
        where = f"killed at {step}, {did[step]}"
        assert scene.orchestrate(*CANCEL, at=step).code == -9, where
        time.sleep(HEARD_S if "started" in where else 0)
        if not any(scene.root.orders.glob("[0-9]*.json")):
            assert scene.states() == {"a": "RUNNING", "b": "QUEUED", "c": "DONE"}, where
            comes_right(scene, {"a": 1, "b": 1, "c": 1}, WATCH, where)
            continue
        scene.orchestrate(*(WATCH, CANCEL)[number % 2])
        assert [task.state for task in scene.site.tasks()][:2] == ["CANCELLED"] * 2, where
        leave(scene.root.job(scene.job("a")).attempt(1), Ending.STOPPED)
        assert scene.states() == {"a": "CANCELLED", "b": "CANCELLED", "c": "DONE"}, where
        comes_right(scene, {"a": 2, "b": 2, "c": 1}, WATCH, where)


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.soak)])
def test_a_gc_that_is_killed_at_any_step_costs_nothing_and_the_next_one_ends_it(
    scene: Scene, every: int
) -> None:
    something_to_free(scene)
    shown = scene.orchestrate("status", "--json").json["jobs"]
    scene.keep()
    litter(scene)
    did = scene.orchestrate(*GC).did
    assert is_tidy(scene)
    assert {"open", "os.rename", "os.remove", "os.rmdir"} <= {name.split()[0] for name in did}
    for number, step in enumerate(steps_of(did, every)):
        litter(scene)
        where = f"killed at {step}, {did[step]}"
        assert scene.orchestrate(*GC, at=step).code == -9, where
        assert scene.orchestrate("status", "--json").json["jobs"] == shown, where
        again = scene.orchestrate(*GC)
        assert again.code == 0, f"{where}: {again.said}"
        assert is_tidy(scene), where
        comes_right(scene, {"a": 2, "b": 1, "c": 1}, (LAUNCH, WATCH)[number % 2], where)


@pytest.mark.parametrize("every", [16, pytest.param(1, marks=pytest.mark.soak)])
def test_a_launch_on_this_machine_that_is_killed_at_any_step_is_adopted_or_as_if_it_had_not_been(
    bench: Bench, forge: Forge, every: int
) -> None:
    path, runs = bench.sweep("a", "b"), bench.root.path
    ids = {point.name: point.id for point in bench.load("a", "b").points}
    kept = bench.folder / "snapshots"
    bench.root.snapshots.rename(kept)

    def launch(at: int | None = None) -> Ran:
        words = ("launch", str(path))
        return forge.run(Run(words, str(bench.folder), bench.environment, at=at))[0]

    def comes_to_its_end(where: str) -> None:
        states = {
            row["state"] for row in json.loads(bench.orchestrate("status", "--json").stdout)["jobs"]
        }
        assert states <= {"DONE", "RUNNING", "QUEUED"}, where
        until(lambda: not any(log.process.alive() for log in bench.pools()), 240)
        assert {name: len(bench.attempts_on(job)) for name, job in ids.items()} == {"a": 1, "b": 1}
        assert launch().said.startswith("s: 0 of 2 jobs submitted"), where

    def begin_anew() -> None:
        shutil.rmtree(runs)
        runs.mkdir()
        bench.root.snapshots.symlink_to(kept)

    begin_anew()
    did = launch().did
    comes_to_its_end("")
    for step in steps_of(did, every):
        begin_anew()
        where = f"killed at {step}, {did[step]}"
        assert launch(at=step).code == -9, where
        if "started" in did[step]:
            until(bench.pools)
        assert launch().code == 0, where
        for folder in bench.root.submissions():
            os.utime(folder.intent, (0, 0))
        assert launch().code == 0, where
        comes_to_its_end(where)
