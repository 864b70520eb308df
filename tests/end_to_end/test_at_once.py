"""Verbs that begin at the same time, of one user or of two: one attempt per job."""

import os
import random
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.forge import Forge
from support.scene import Scene, is_one_sentence
from support.walks import (
    CANCEL,
    CONTROLLED,
    LAUNCH,
    OVER,
    WATCH,
    cancelled_and_failed,
    comes_right,
    nothing_yet,
    one_of_each,
    under_way,
)

import orchestrator

pytestmark = pytest.mark.slow
TIMES = pytest.mark.parametrize("times", [2, pytest.param(60, marks=pytest.mark.soak)])
APART_S = 0.15
"""About as long as a verb takes."""
AGAIN = {"a": 2, "b": 2, "c": 1, "d": 1, "e": 1}
ONCE = {"a": 1, "b": 1, "c": 1}
PAIRS = {
    "two first launches": (nothing_yet, (LAUNCH, LAUNCH), ONCE),
    "two launches after others": (one_of_each, (LAUNCH, LAUNCH), AGAIN),
    "three launches of what was cancelled": (
        cancelled_and_failed,
        (LAUNCH, LAUNCH, LAUNCH),
        {"a": 2, "b": 2, "c": 1},
    ),
    "a launch and a watch": (one_of_each, (LAUNCH, WATCH), AGAIN),
    "two watches": (one_of_each, (WATCH, WATCH), AGAIN),
    "two watches and a launch": (one_of_each, (WATCH, LAUNCH, WATCH), AGAIN),
}
GROUP = 54321


@TIMES
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_verbs_that_begin_together_hand_every_job_over_once(
    scene: Scene,
    pair: tuple[Callable[[Scene], None], tuple[tuple[str, ...], ...], dict[str, int]],
    times: int,
) -> None:
    begin, verbs, asked = pair
    begin(scene)
    scene.keep()
    for number in range(times):
        delays = random.Random(number)  # noqa: S311 - of delays
        scene.restore()
        together = [scene.run(*words, wait_s=delays.uniform(0, APART_S)) for words in verbs]
        for ran in scene.forge.run(*together):
            assert ran.code in OVER, ran.said
        assert scene.asked() == asked, number
        comes_right(scene, asked, LAUNCH, f"delays of {number}")


@TIMES
def test_launches_with_a_controller_that_begin_together_start_one(scene: Scene, times: int) -> None:
    scene.launch()
    scene.keep()
    for number in range(times):
        delays = random.Random(number)  # noqa: S311 - of delays
        scene.restore()
        together = [scene.run(*CONTROLLED, wait_s=delays.uniform(0, APART_S)) for _ in range(3)]
        for ran in scene.forge.run(*together):
            assert ran.code == 0, ran.said

        assert (scene.asked(), scene.site.tenders()) == (ONCE, 1), number


@TIMES
@pytest.mark.parametrize("other", [LAUNCH, WATCH], ids=lambda words: words[0])
def test_a_cancel_beside_another_verb_leaves_each_job_cancelled_or_handed_over_once(
    scene: Scene, other: tuple[str, ...], times: int
) -> None:
    under_way(scene)
    scene.keep()
    for number in range(times):
        delays = random.Random(number)  # noqa: S311 - of delays
        scene.restore()
        together = [scene.run(*w, wait_s=delays.uniform(0, APART_S)) for w in (CANCEL, other)]
        for ran in scene.forge.run(*together):
            assert ran.code in OVER, ran.said
        newest = {task.membership(scene.root).job: task.state for task in scene.site.tasks()}
        open_tasks = [task for task in scene.site.tasks() if task.state in ("PENDING", "RUNNING")]
        assert len({t.membership(scene.root).job for t in open_tasks}) == len(open_tasks), newest


@pytest.fixture
def shared(digits: Path, forge: Forge) -> Iterator[Scene]:
    """A sweep whose root belongs to a group."""
    if os.geteuid() or not _is_open_to_all(Path(orchestrator.__file__).parent):
        pytest.skip("needs to become other users, who can read the code")
    with tempfile.TemporaryDirectory(prefix="shared-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copytree(digits, folder / "data")
        (folder / "data").chmod(0o755)  # pytest keeps it to itself
        scene = Scene(folder, folder / "data", forge)
        for made in (scene.root.path, scene.site.folder / "queue"):
            made.mkdir(exist_ok=True)
            os.chown(made, 0, GROUP)
            made.chmod(0o2775)
        yield scene


ALICE, BOB = (
    {"user": number, "group": GROUP, "more": {"LOGNAME": name}}
    for number, name in ((54322, "alice"), (54323, "bob"))
)


def test_two_users_of_a_shared_root_hand_every_job_over_once(shared: Scene) -> None:
    for _ in range(2):
        for ran in shared.forge.run(shared.run(*LAUNCH, **ALICE), shared.run(*LAUNCH, **BOB)):
            assert ran.code == 0, ran.said

    assert shared.asked() == ONCE


def test_what_one_user_was_killed_at_another_brings_to_its_end(shared: Scene) -> None:
    did = shared.orchestrate(*LAUNCH, **ALICE).did
    handing = [n for n, name in enumerate(did) if "sbatch" in name or "submitted" in name]
    for step in handing[::4]:
        for made in (shared.root.path, shared.site.folder / "queue"):
            shutil.rmtree(made)
            made.mkdir()
            os.chown(made, 0, GROUP)
            made.chmod(0o2775)
        assert shared.orchestrate(*LAUNCH, **ALICE, at=step).code == -9
        comes_right(shared, ONCE, LAUNCH, f"killed at {step}, {did[step]}", **BOB)


def test_a_root_that_one_user_keeps_to_himself_is_refused_to_another_in_a_sentence(
    shared: Scene,
) -> None:
    assert shared.orchestrate(*LAUNCH, **ALICE, umask=0o022).code == 0
    refused = shared.orchestrate(*LAUNCH, **BOB)

    assert is_one_sentence(refused), refused.said
    assert "Permission denied" in refused.said
    assert shared.states(**BOB) == dict.fromkeys("abc", "QUEUED")


def _is_open_to_all(folder: Path) -> bool:
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))
