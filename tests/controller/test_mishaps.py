"""Whatever a cluster says of its jobs, or does not say: what is shown of them, and what is done."""

from pathlib import Path

import pytest
from support.mishaps import Mishaps
from support.rounds import Rounds

LONG = pytest.mark.soak


@pytest.mark.parametrize(
    ("seed", "steps"),
    [
        *((seed, 40) for seed in range(4)),
        *(pytest.param(seed, 150, marks=LONG) for seed in range(100, 160)),
    ],
)
def test_among_mishaps_no_live_job_is_shown_dead_and_none_is_started_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, steps: int
) -> None:
    mishaps = Mishaps(Rounds(tmp_path, monkeypatch), seed)
    mishaps.move_clocks(monkeypatch)
    mishaps.somebody_watches()
    for _ in range(steps):
        mishaps.step()

    mishaps.comes_to_its_end()
