import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.config import Placement, Resources, refuse_resources
from orchestrator.config.resources import minutes

PARTS = st.tuples(*[st.none() | st.integers(0, 99_999)] * 3)


def words_of(plain: object) -> str:
    with pytest.raises(ValidationError) as refusal:
        Resources.from_plain(plain)
    (detail,) = refusal.value.errors()
    return detail["msg"].removeprefix("Value error, ")


@given(PARTS)
def test_a_duration_is_the_sum_of_its_days_hours_and_minutes(
    parts: tuple[int | None, int | None, int | None],
) -> None:
    text = "".join(f"{n}{unit}" for n, unit in zip(parts, "dhm", strict=True) if n is not None)
    days, hours, rest = (part or 0 for part in parts)
    length = (days * 24 + hours) * 60 + rest

    if length:
        assert minutes(text) == length
        assert Resources.from_plain({"time": text}).time == text
    else:
        assert words_of({"time": text})


@given(st.text(max_size=12))
def test_any_other_text_is_no_duration(text: str) -> None:
    try:
        resources = Resources.from_plain({"time": text})
    except ValidationError:
        return
    assert resources.time is not None
    assert set(resources.time) <= set("0123456789dhm")
    assert minutes(resources.time) >= 1


@pytest.mark.parametrize("written", [90, 1.5, "90", "1.5", 0, -1])
def test_a_number_without_a_unit_is_asked_for_one(written: object) -> None:
    assert "as in 90m, 12h, 2d" in words_of({"time": written})


@pytest.mark.parametrize(
    "text", ["", "12", "h", "1m1h", "1.5h", "1h ", "12:00:00", "1H", "1w", "٣h"]
)
def test_what_is_no_duration_is_refused_by_both(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        minutes(text)

    assert words_of({"time": text})


def test_cpus_are_asked_for_in_one_way() -> None:
    words = words_of({"cpus_per_rank": 4, "cpus_per_gpu": 8})

    assert words.startswith("cpus_per_rank 4 and cpus_per_gpu 8 say the same thing")


@pytest.mark.parametrize(
    ("resources", "placement"),
    [
        ({}, {"ranks": 3}),
        ({"nodes": 2}, {"ranks": 4}),
        ({"nodes": 2, "gpus_per_node": 2}, {"ranks": 4}),
        ({"gpus_per_node": 0}, {"ranks": 4, "device": "cpu"}),
        ({"gpus_per_node": 0}, {"ranks": 4, "device": "cuda"}),
        ({"gpus_per_node": 1}, {"device": "cuda"}),
    ],
)
def test_resources_that_fit_the_placement_are_taken(
    resources: dict[str, object], placement: dict[str, object]
) -> None:
    found = refuse_resources(Resources.from_plain(resources), Placement.from_plain(placement))

    assert found is None


@pytest.mark.parametrize(
    ("resources", "placement", "numbers", "advice"),
    [
        ({"nodes": 3}, {"ranks": 4}, "nodes is 3, but placement.ranks is 4", "use 6 ranks"),
        ({"nodes": 2}, {"ranks": 1}, "nodes is 2, but placement.ranks is 1", "use 2 ranks"),
        (
            {"gpus_per_node": 1},
            {"device": "cpu"},
            "gpus_per_node is 1, but placement.device is cpu",
            "use device: auto",
        ),
        (
            {"nodes": 2, "gpus_per_node": 4},
            {"ranks": 4},
            "gpus_per_node is 4, but placement.ranks 4 on resources.nodes 2 are 2 rank(s) per node",
            "use gpus_per_node: 2, or ranks: 8",
        ),
        (
            {"jobs_per_allocation": 4, "nodes": 2},
            {"ranks": 2},
            "jobs_per_allocation is 4, but resources.nodes is 2",
            "use nodes: 1, or jobs_per_allocation: 1",
        ),
        (
            {"jobs_per_allocation": 2, "jobs_per_gpu": 3},
            {},
            "jobs_per_gpu is 3, but resources.jobs_per_allocation is 2",
            "use jobs_per_allocation: 3 or more",
        ),
        (
            {"jobs_per_allocation": 2, "jobs_per_gpu": 2},
            {"device": "cpu"},
            "jobs_per_gpu is 2, but placement.device is cpu",
            "use device: auto",
        ),
    ],
)
def test_resources_that_do_not_fit_are_refused_with_numbers_and_advice(
    resources: dict[str, object], placement: dict[str, object], numbers: str, advice: str
) -> None:
    found = refuse_resources(Resources.from_plain(resources), Placement.from_plain(placement))

    assert found is not None
    assert found.startswith(f"resources.{numbers}")
    assert advice in found
