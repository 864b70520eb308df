from pathlib import Path

import numpy as np
import pytest

from model.figures import Histogram
from orchestrator.errors import SpecError
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Order, write_order
from orchestrator.jobs.probes import probe_file
from orchestrator.results import plots
from orchestrator.results.groups import Group
from orchestrator.results.plots import draw_norms


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Histogram]:
    """What was drawn last, by group."""
    kept: dict[str, Histogram] = {}
    draw = plots.norms_by_arm
    monkeypatch.setattr(plots, "norms_by_arm", lambda by_arm: kept.update(by_arm) or draw(by_arm))
    return kept


def probed(root: Root, job: str, attempt: int, step: int) -> Path:
    """A probe in whose histogram every count is its step."""
    path = probe_file(root.job(job).probes, attempt, step)
    path.parent.mkdir(parents=True, exist_ok=True)
    counts, edges = np.full((2, 40), step), np.geomspace(1, 100, 41)
    np.savez(path, **{"norms/by_block/histogram": counts, "norms/histogram_edges": edges})
    return path


def group(*jobs: str) -> Group:
    return Group(
        axes={}, n=0, missing=0, diverged=0, mean=None, std=None, ci95=None, job_ids=jobs, also={},
        mixes=(),
    )  # fmt: skip


def test_of_each_job_the_last_probe_is_drawn_and_jobs_of_a_group_are_summed(
    root: Root, drawn: dict[str, Histogram]
) -> None:
    for job, step in (("aa", 10), ("aa", 20), ("bb", 5)):
        probed(root, job, 1, step)

    assert draw_norms(root, [group("aa", "bb", "cc")], root.path / "norms.svg") == []

    assert drawn["all"].counts.tolist() == [25] * 40
    assert (root.path / "norms.svg").is_file()


def test_what_was_discarded_is_not_drawn(root: Root, drawn: dict[str, Histogram]) -> None:
    probed(root, "aa", 1, 90)
    probed(root, "aa", 2, 10)
    root.job("aa").attempt(1).path.mkdir(parents=True)
    write_order(root, Order(what="afresh", jobs=["aa"], last={"aa": 1}))

    draw_norms(root, [group("aa")], root.path / "norms.png")

    assert drawn["all"].counts.tolist() == [10] * 40


def test_a_damaged_probe_is_told_and_the_other_jobs_are_drawn(
    root: Root, drawn: dict[str, Histogram]
) -> None:
    probed(root, "bb", 1, 5)
    broken = probed(root, "aa", 1, 10)
    broken.write_bytes(broken.read_bytes()[:100])

    (fault,) = draw_norms(root, [group("aa", "bb")], root.path / "norms.png")

    assert fault.startswith("aa is not in the picture")
    assert "is damaged" in fault
    assert drawn["all"].counts.tolist() == [5] * 40
    with pytest.raises(SpecError, match=r"nothing to draw.*is damaged"):
        draw_norms(root, [group("aa")], root.path / "norms.png")
