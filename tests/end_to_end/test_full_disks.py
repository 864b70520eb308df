"""A disk that is full, or may not be written, and clocks that are wrong."""

import subprocess

import pytest
from support.scene import Scene, is_one_sentence, steps_of
from support.strikes import NEEDS_SPACE
from support.walks import (
    CANCEL,
    GC,
    LAUNCH,
    OVER,
    WALKS,
    WATCH,
    Walk,
    comes_right,
    is_tidy,
    litter,
    one_of_each,
    something_to_free,
)

pytestmark = pytest.mark.slow
DISKS = {"full": "No space left on device", "quota": "Disk quota exceeded"}


@pytest.mark.parametrize("every", [15, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS)
def test_a_disk_that_is_full_from_any_step_on_is_told_in_a_sentence_and_costs_nothing_else(
    scene: Scene, walk: Walk, every: int
) -> None:
    walk.begin(scene)
    scene.keep()
    did = scene.orchestrate(*walk.words).did
    steps = [n for n in range(len(did)) if did[n].split(" ")[0] in NEEDS_SPACE]
    struck = [n for n in steps_of(did, 1) if n in steps][::every]
    for number, step in enumerate(struck):
        how = list(DISKS)[number % 2]
        scene.restore()
        ran = scene.orchestrate(*walk.words, at=step, how=how)
        where = f"{how} from {step}, {did[step]}"
        told = is_one_sentence(ran) and DISKS[how] in ran.said and "the output" not in ran.said
        assert told or ran.code in OVER, f"{where}: {ran.said}"
        comes_right(scene, walk.asked, (LAUNCH, WATCH)[number % 2], where)


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.soak)])
def test_a_disk_that_is_full_from_any_step_of_a_gc_on_is_told_and_the_next_one_frees_it(
    scene: Scene, every: int
) -> None:
    something_to_free(scene)
    shown = scene.orchestrate("status", "--json").json["jobs"]
    scene.keep()
    litter(scene)
    did = scene.orchestrate(*GC).did
    steps = [n for n in range(len(did)) if did[n].split(" ")[0] in NEEDS_SPACE]
    for number, step in enumerate(n for n in steps_of(did, 1)[::every] if n in steps):
        how = list(DISKS)[number % 2]
        litter(scene)
        ran = scene.orchestrate(*GC, at=step, how=how)
        where = f"{how} from {step}, {did[step]}"
        assert ran.code == 0 or (is_one_sentence(ran) and DISKS[how] in ran.said), ran.said
        assert scene.orchestrate("status", "--json").json["jobs"] == shown, where
        assert scene.orchestrate(*GC).code == 0, where
        assert is_tidy(scene), where
        comes_right(scene, {"a": 2, "b": 1, "c": 1}, (LAUNCH, WATCH)[number % 2], where)


@pytest.mark.parametrize("words", [LAUNCH, WATCH, CANCEL], ids=lambda words: words[0])
def test_a_root_that_may_not_be_written_is_refused_in_a_sentence_and_shown(
    scene: Scene, words: tuple[str, ...]
) -> None:
    one_of_each(scene)
    shown = scene.states()
    mount = ["mount", "--bind", str(scene.root.path), str(scene.root.path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(scene.root.path)], check=True)
        refused = scene.orchestrate(*words)
        again = scene.states()
    finally:
        subprocess.run(["umount", "-l", str(scene.root.path)], check=True)

    assert is_one_sentence(refused), refused.said
    assert again == shown


@pytest.mark.parametrize("shift_s", [3600.0, -3600.0], ids=["fast", "slow"])
@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS)
def test_a_clock_that_is_wrong_by_an_hour_changes_no_state_and_no_decision(
    scene: Scene, walk: Walk, shift_s: float
) -> None:
    walk.begin(scene)
    scene.keep()
    true = scene.states()
    assert scene.states(shift_s=shift_s) == true
    right = scene.orchestrate(*walk.words)
    decided = scene.states()
    scene.restore()

    assert scene.orchestrate(*walk.words, shift_s=shift_s).code == right.code
    assert scene.states() == scene.states(shift_s=shift_s) == decided
    comes_right(scene, walk.asked, LAUNCH, "")


def test_what_a_machine_with_a_fast_clock_handed_over_is_older_than_what_came_after(
    scene: Scene,
) -> None:
    scene.launch(shift_s=3600.0)
    scene.ends("a", "CANCELLED")
    scene.launch()
    scene.ends("a", "FAILED", 1 << 8)

    assert scene.asked() == {"a": 2, "b": 1, "c": 1}
    assert scene.states() == {"a": "FAILED", "b": "QUEUED", "c": "QUEUED"}
