from dataclasses import replace
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import Resources
from orchestrator.config.resources import minutes
from orchestrator.jobs.usage import GpuUse, RankUse
from orchestrator.results.suggest import (
    ENOUGH,
    HEADROOM,
    TIME_STEPS,
    duration,
    round_up_minutes,
    suggest,
)
from orchestrator.results.usage import GB, Asked, AttemptUse

H = 3600.0
SHAPE = Asked(
    place="alpha/gpu",
    cluster=True,
    nodes=1,
    ranks=1,
    gpus=1,
    cpus=16,
    cpus_key="cpus_per_gpu",
    memory_gb=64,
    time_s=int(12 * H),
    stop_s=900,
    most_memory_gb=500,
    most_time_s=int(24 * H),
)


def done(
    job: object, *, asked: Asked = SHAPE, hours: float = 3.0, gigabytes: float = 9.1, **more: Any
) -> AttemptUse:
    """A job that was done in one start."""
    gpu = GpuUse(name="X", memory_bytes=80 * GB, peak_bytes=15 * GB, used_bytes=None, busy=None)
    rank = RankUse(
        rank=0,
        host="n",
        seconds=hours * H,
        cpu_s=more.pop("cpus", 2.0) * hours * H,
        memory_bytes=int(gigabytes * GB),
        memory_source="pss",
        gpu=replace(gpu, **more.pop("gpu", {"busy": 0.2})),
    )
    known = {"whole_s": hours * H, "uses": (rank,), "lost_s": 0.0, "seconds": hours * H}
    return AttemptUse(job=str(job), asked=asked, over=True, **{**known, **more})


def lines(*attempts: AttemptUse) -> dict[str, str | int]:
    return {one.key: one.value for one in suggest(attempts)[0]}


def test_limits_are_the_most_that_was_seen_with_headroom_and_say_what_they_save() -> None:
    found, missing = suggest([done(n, hours=2 + n / 2) for n in range(3)])

    assert missing == []
    assert [(one.key, one.value) for one in found] == [
        ("time", "4h"),  # 3 h x 1.2 + 900 s
        ("mem_gb_per_node", 11),
        ("cpus_per_gpu", 3),
        ("jobs_per_allocation", 4),
        ("jobs_per_gpu", 4),  # 90 % of 80 GB over 15 GB x 1.2; of the time there would be 4.5
    ]
    saved = {one.key: round(one.saves, 2) for one in found}
    assert saved == {
        "time": 8,
        "mem_gb_per_node": 53 * 7.5,
        "cpus_per_gpu": 13 * 7.5,
        "jobs_per_allocation": 0,
        "jobs_per_gpu": round(7.5 * 3 / 4, 2),
    }


def test_lines_can_be_pasted_into_a_sweep() -> None:
    text = "\n".join(f"{key}: {value}" for key, value in lines(*map(done, range(3))).items())

    assert Resources.from_plain(yaml.safe_load(text)).time == "4h"


def test_nothing_is_suggested_from_few_jobs_nor_on_a_machine() -> None:
    few, why = suggest([done(n) for n in range(ENOUGH - 1)])
    here = replace(SHAPE, cluster=False)

    assert few == []
    assert why == [f"2 of the {ENOUGH} jobs are done from which limits are suggested"]
    assert suggest([done(n, asked=here) for n in range(9)])[0] == []


def test_what_is_not_known_is_said_and_not_suggested() -> None:
    found, missing = suggest([done(n, uses=()) for n in range(3)])

    assert [one.key for one in found] == ["time"]
    assert [text.partition(":")[0] for text in missing] == [
        "mem_gb_per_node",
        "cpus_per_gpu",
        "jobs_per_gpu",
    ]


def test_a_shape_that_lacked_memory_gets_no_limit_of_it() -> None:
    found, missing = suggest([*map(done, range(3)), done(4, lacked_memory=True, whole_s=None)])

    assert "mem_gb_per_node" not in [one.key for one in found]
    assert "mem_gb_per_node: 1 start(s) ended for want of memory; ask for more" in missing


def test_jobs_that_wait_for_data_keep_their_processors() -> None:
    found, missing = suggest([done(n, waited_s=60.0, epochs_s=600.0) for n in range(3)])

    assert "cpus_per_gpu" not in [one.key for one in found]
    assert any(text.startswith("cpus_per_gpu: no fewer than 16") for text in missing)


def test_jobs_longer_than_the_partition_allows_get_no_time() -> None:
    found, missing = suggest([done(n, hours=30) for n in range(3)])

    assert "time" not in [one.key for one in found]
    assert missing[0].startswith("time: the longest job takes 30 h")


def test_a_gpu_that_is_busy_or_full_is_not_shared_and_one_that_is_shared_not_less() -> None:
    busy, full = {"busy": 0.6}, {"busy": 0.1, "peak_bytes": 40 * GB}
    shared = replace(SHAPE, gpus=0.25, jobs_per_gpu=4, jobs_per_allocation=4)

    for gpu in (busy, full):
        assert "jobs_per_gpu" not in lines(*(done(n, gpu=gpu) for n in range(3)))
    together = {"busy": 0.8}
    assert "jobs_per_gpu" not in lines(*(done(n, asked=shared, gpu=together) for n in range(3)))
    half = {"busy": 0.5, "peak_bytes": 5 * GB}  # four jobs take half of its time, so seven 88 %
    assert lines(*(done(n, asked=shared, gpu=half) for n in range(3)))["jobs_per_gpu"] == 7


def test_a_shape_that_asks_for_what_is_right_gets_no_line() -> None:
    right = replace(SHAPE, time_s=int(4 * H), memory_gb=11, cpus=3)

    assert suggest([done(n, asked=right, gpu={"busy": 0.9}) for n in range(3)]) == ([], [])


def test_a_site_that_takes_no_memory_is_not_asked_for_any() -> None:
    site = replace(SHAPE, asks_memory=False)

    assert "mem_gb_per_node" not in lines(*(done(n, asked=site) for n in range(3)))


@given(
    jobs=st.lists(
        st.tuples(st.floats(0.01, 40), st.floats(0.1, 600), st.floats(0.01, 40), st.floats(0, 1)),
        min_size=1,
        max_size=6,
    ),
    most_time=st.none() | st.integers(1, 48),
)
def test_no_limit_is_below_what_was_taken_nor_above_what_the_partition_has(
    jobs: list[tuple[float, float, float, float]], most_time: int | None
) -> None:
    shape = replace(SHAPE, most_time_s=most_time and most_time * 3600)
    found = lines(
        *(
            done(n, asked=shape, hours=h, gigabytes=size, cpus=cpus, gpu={"busy": busy})
            for n, (h, size, cpus, busy) in enumerate(jobs)
        )
    )

    hours, sizes, cpus, busy = (max(values) for values in zip(*jobs, strict=True))
    if "time" in found:
        assert minutes(str(found["time"])) * 60 >= hours * H * (1 - 1e-9)
        assert most_time is None or minutes(str(found["time"])) <= most_time * 60
    assert found.get("mem_gb_per_node", 1e9) >= int(sizes)
    assert found.get("cpus_per_gpu", 1e9) >= cpus * 0.999
    assert int(found.get("jobs_per_gpu", 1)) * 15 * HEADROOM <= 80
    assert int(found.get("jobs_per_gpu", 1)) == 1 or int(found["jobs_per_gpu"]) * busy <= 1
    assert not found or len(jobs) >= ENOUGH


@given(st.floats(0.1, 90 * 24 * 60))
def test_limits_are_rounded_up_to_what_a_sweep_understands(wanted: float) -> None:
    found = round_up_minutes(wanted)

    step = next(step for most, step in TIME_STEPS if wanted <= most)
    assert wanted <= found < wanted + step
    assert minutes(duration(found)) == found
