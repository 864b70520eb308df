"""Where verbs begin that a test walks through step by step, and what must have come of it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fakes.arrays import leave

from orchestrator.jobs.facts import Ending
from orchestrator.jobs.gather import read_submissions
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.weights import is_sound
from support.kept import OLD_CODE, leave_half, leave_snapshot, leave_state, leave_weights
from support.scene import Scene, is_one_sentence

HEARD_S = 0.3
"""By then a command has ended whose caller was killed."""
LAUNCH, WATCH, CANCEL = ("launch", "s.yaml"), ("watch", "--once"), ("cancel", "s", "--yes")
GC = ("gc", "--yes")
CONTROLLED = (*LAUNCH, "--controller")
OVER = (0, 3, 4)
"""Exit codes of a verb that did what it could."""


def nothing_yet(_: Scene) -> None:
    """A first launch makes everything."""


def one_of_each(scene: Scene) -> None:
    """a preempted, b lost with its node, c done, e running; d in an intent that was never heard."""
    scene.write("a", "b", "c", "e")
    scene.launch()
    scene.is_preempted("a")
    scene.ends("b", "NODE_FAIL")
    scene.is_done("c")
    scene.starts("e")
    scene.keep()
    scene.write("a", "b", "c", "d", "e")
    steps = [number for number, name in enumerate(scene.launch().did) if name == "start sbatch"]
    scene.restore()
    scene.launch(at=steps[-2])  # before the array of a and b; that of d would be the last
    scene.age_intents()


def cancelled_and_failed(scene: Scene) -> None:
    """a was cancelled while it ran, b failed, c is done."""
    scene.launch()
    attempt = scene.starts("a")
    scene.orchestrate("cancel", "s/a", "--yes")
    leave(attempt, Ending.STOPPED)
    leave(scene.starts("b"), Ending.ERROR)
    scene.ends("b", "FAILED", 1 << 8)
    scene.is_done("c")


def under_way(scene: Scene) -> None:
    """a runs, b waits, c is done."""
    scene.launch()
    scene.starts("a")
    scene.is_done("c")


def something_to_free(scene: Scene) -> None:
    """a was preempted, b waits, c is done and left all it can."""
    scene.launch()
    scene.is_preempted("a")
    leave_state(scene.root.job(scene.job("a")), 1, 5)
    scene.is_done("c")
    done = scene.root.job(scene.job("c"))
    with JournalWriter(done.attempt(1).journal, Header(scene.job("c"), 1, None, 10)) as journal:
        journal.point(10, 10, {"val/top1": 90.0})
    for step in (5, 10):
        leave_state(done, 1, step)
        leave_weights(done, 1, step)


def litter(scene: Scene) -> None:
    """Put back all there is to free, and what is no part of a scene: leftovers, code, the cache."""
    scene.restore()
    leave_snapshot(scene.root)
    leave_half(scene.root.path)
    leave_half(scene.root.job(scene.job("a")).checkpoints)
    scene.states()
    assert scene.root.settled.exists()


def is_tidy(scene: Scene) -> bool:
    """Whether all went that nobody needs, and nothing else."""
    a, c = (scene.root.job(scene.job(name)) for name in "ac")
    assert [path.name for path in a.checkpoints.glob("[0-9]*")] == ["001-000000005"]
    assert [path.name for path in sorted(c.weights.iterdir())] == ["001-000000005", "001-000000010"]
    assert all(is_sound(path) for path in c.weights.iterdir())
    codes = {path.name for path in scene.root.snapshots.iterdir()}
    assert codes >= {one.snapshot for one in read_submissions(scene.root)}
    left = [*c.checkpoints.iterdir(), *scene.root.path.rglob(".tmp-half")]
    left += [*scene.root.path.rglob(".tmp-gone-*"), *scene.root.snapshots.glob(".tmp-gone-*")]
    return not left and OLD_CODE not in codes


@dataclass(frozen=True)
class Walk:
    """Where a verb begins, its words, and how often each job was handed over in the end."""

    begin: Callable[[Scene], None]
    words: tuple[str, ...]
    asked: dict[str, int]


WALKS = {
    "a first launch": Walk(nothing_yet, LAUNCH, {"a": 1, "b": 1, "c": 1}),
    "a launch after others": Walk(one_of_each, LAUNCH, {"a": 2, "b": 2, "c": 1, "d": 1, "e": 1}),
    "a launch of what was cancelled": Walk(cancelled_and_failed, LAUNCH, {"a": 2, "b": 2, "c": 1}),
    "a launch with trial jobs": Walk(nothing_yet, (*LAUNCH, "--canary"), {"a": 1, "b": 1, "c": 1}),
    "a retry": Walk(cancelled_and_failed, ("retry", "s"), {"a": 2, "b": 2, "c": 1}),
    "a watch": Walk(one_of_each, WATCH, {"a": 2, "b": 2, "c": 1, "d": 1, "e": 1}),
}


def comes_right(
    scene: Scene, asked: dict[str, int], verb: Sequence[str], where: str, **who: Any
) -> None:
    """Whoever looks is told the truth; ``verb``, then launches, bring every job to one end.

    It goes on at once, and once more when intents without an answer are old enough to be given up.
    """
    tells_the_truth(scene, where)
    launched = any(scene.root.path.glob("sweeps/s/*.json"))
    for _ in range(2):
        ran = scene.orchestrate(*verb, **who)
        assert ran.code in OVER or (not launched and is_one_sentence(ran)), f"{where}: {ran.said}"
        time.sleep(HEARD_S if "started" in where else 0)
        scene.age_intents()
    assert scene.launch(**who).code == 0, where
    tells_the_truth(scene, where)
    scene.works()

    assert set(scene.states().values()) == {"DONE"}, where
    assert scene.asked() == asked, where
    assert set(scene.finished().values()) == {1}, where


def tells_the_truth(scene: Scene, where: str) -> None:
    """Those jobs are shown DONE that are, and none FAILED that did not."""
    said = scene.states()
    finished = scene.finished()
    for name, state in said.items():
        assert (state == "DONE") == bool(finished[scene.ids.get(name, name)]), f"{where}: {said}"
        assert state != "FAILED" or name == "b", f"{where}: {said}"
