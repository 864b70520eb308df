from typing import Any

import pytest

from orchestrator.jobs.usage import GpuUse, RankUse
from orchestrator.results.usage import GB, Asked, AttemptUse, by_shape, figures

SHAPE = Asked(
    place="alpha/gpu",
    cluster=True,
    nodes=2,
    ranks=4,
    gpus=4,
    cpus=32,
    memory_gb=64,
    time_s=3600,
)


def gpu(**more: Any) -> GpuUse:
    known = {"name": "X", "memory_bytes": 80 * GB, "peak_bytes": 10 * GB}
    return GpuUse(**{**known, "used_bytes": 12 * GB, "busy": 0.25, **more})


def ranks(
    *gigabytes: float, on_gpu: GpuUse | None = None, seconds: float = 1000
) -> tuple[RankUse, ...]:
    """Two on each node, that keep two processors busy."""
    return tuple(
        RankUse(
            rank=rank,
            host=f"n{rank // 2}",
            seconds=seconds,
            cpu_s=2 * seconds,
            memory_bytes=int(size * GB),
            memory_source="pss",
            gpu=on_gpu,
        )
        for rank, size in enumerate(gigabytes)
    )


def use(job: str = "a", **more: Any) -> AttemptUse:
    known: dict[str, Any] = {"asked": SHAPE, "over": True, "seconds": 3600.0, "lost_s": 0.0}
    return AttemptUse(job=job, **{**known, **more})


def test_memory_is_that_of_the_fullest_node_and_processors_are_those_of_all_ranks() -> None:
    one = use(uses=ranks(1, 2, 3, 4))

    assert (one.memory_gb, one.cpus) == (7, 8)


def test_an_attempt_of_which_a_rank_told_nothing_has_no_memory_and_no_processors() -> None:
    one = use(uses=ranks(1, 2, 3))

    assert (one.memory_gb, one.cpus, one.complete) == (None, None, False)


def test_memory_of_a_gpu_is_by_its_counter_and_of_a_shared_one_a_part_of_that() -> None:
    shared = Asked(place="p", cluster=True, nodes=1, ranks=1, gpus=0.5, cpus=1, memory_gb=None,
                   time_s=None, jobs_per_gpu=2)  # fmt: skip

    assert use(uses=ranks(1, on_gpu=gpu())).gpu_memory_gb == 12
    assert use(asked=shared, uses=ranks(1, on_gpu=gpu(used_bytes=30 * GB))).gpu_memory_gb == 15
    assert use(asked=shared, uses=ranks(1, on_gpu=gpu())).gpu_memory_gb == 10
    assert use(uses=ranks(1, on_gpu=gpu(used_bytes=None))).gpu_memory_gb == 10
    assert use(uses=ranks(1)).gpu_memory_gb is None


def test_figures_add_up_hours_and_tell_the_median_and_the_most() -> None:
    told = figures(
        [
            use("a", whole_s=600.0, uses=ranks(1, 1, 1, 1, on_gpu=gpu())),
            use("b", lost_s=1800.0, at_limit=True),
            use("b", whole_s=3000.0, uses=ranks(2, 2, 2, 2, on_gpu=gpu(busy=0.75))),
            use("c", seconds=36.0),
        ]
    )

    assert (told.jobs, told.done, told.starts, told.limits_reached) == (3, 2, 4, 1)
    assert told.time_s is not None
    assert (told.time_s.median, told.time_s.most, told.time_s.asked) == (1800, 3000, 3600)
    assert told.time_s.share == pytest.approx(5 / 6)
    assert told.memory_gb is not None
    assert (told.memory_gb.n, told.memory_gb.most, told.memory_gb.asked) == (2, 4, 64)
    assert told.gpu_memory_gb is not None
    assert told.gpu_memory_gb.asked == 80
    assert (told.hours, told.hours_lost) == (pytest.approx(3.01), 0.5)
    assert (told.gpu_hours, told.gpu_hours_lost) == (pytest.approx(12.04), 2)
    assert told.gpu_hours_idle == pytest.approx(4 * 0.75 + 4 * 0.25)
    assert told.waiting is None


def test_waiting_is_a_share_of_epochs() -> None:
    assert use(waited_s=30.0, epochs_s=300.0).waiting == 0.1


def test_what_was_never_told_is_not_known() -> None:
    told = figures([use()])

    assert (told.memory_gb, told.cpus, told.gpu_memory_gb, told.gpu_busy) == (None,) * 4
    assert told.gpu_hours_idle is None


def test_attempts_that_ask_for_the_same_are_of_one_shape() -> None:
    other = Asked(
        place="alpha/gpu", cluster=True, nodes=2, ranks=4, gpus=4, cpus=32, memory_gb=96, time_s=9
    )
    shapes = by_shape([use("a"), use("b", asked=other), use("c")])

    assert [[one.job for one in members] for members in shapes.values()] == [["a", "c"], ["b"]]
