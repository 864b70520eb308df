import re
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.sweep.expand import Sweep
from orchestrator.sweep.names import LONGEST, Axes, unique_names

Load = Callable[..., Sweep]

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
AXES = st.dictionaries(
    st.sampled_from(["model.gate", "model.name", "optim.name", "optim.lr"]),
    SCALARS | st.dictionaries(st.text(max_size=9), SCALARS, max_size=3),
)


def names(*points: Axes) -> list[str]:
    return unique_names([(f"{number:012x}{0:020x}", axes) for number, axes in enumerate(points)])


def test_a_name_has_the_last_part_of_each_key() -> None:
    axes: Axes = {"model.registers": 4, "optim.lr": 0.001, "data.flip": True, "seed": 0}

    assert names(axes) == ["registers=4,lr=0.001,flip=true"]


def test_the_seed_is_told_where_there_are_several() -> None:
    assert names({"seed": 0}, {"seed": 1}) == ["seed=0", "seed=1"]


def test_a_group_is_told_by_its_values() -> None:
    gates: list[Axes] = [
        {"model.gate": None},
        {"model.gate": {"position": "value", "bias": False}},
        {"model.gate": {}},
    ]

    assert names(*gates) == ["gate=none", "gate=value-false", "gate=default"]


def test_axes_with_the_same_end_are_told_by_more_of_their_keys() -> None:
    assert names({"optim.name": "x", "data.name": "y"}) == ["optim.name=x,data.name=y"]


def test_colliding_names_are_told_by_their_whole_keys() -> None:
    first, second = names({"model.gate": {"init_std": 1.0}}, {"model.gate": {"bias_init": 1.0}})

    assert (first, second) == ("model.gate.init_std=1.0", "model.gate.bias_init=1.0")


def test_names_that_collide_still_are_told_by_id() -> None:
    assert names({"case": "x"}, {"case": "x"}) == ["x,000000000000", "x,000000000001"]


def test_a_long_name_is_cut_and_told_by_id() -> None:
    (name,) = names({f"model.key{number}": number for number in range(40)})

    assert len(name) == LONGEST
    assert name.endswith(",000000000000")


@given(st.lists(AXES, max_size=4))
def test_a_name_is_safe_whatever_the_values(points: list[Axes]) -> None:
    for name in names(*points):
        assert re.fullmatch(r"[A-Za-z0-9_.,=+-]{1,120}", name)


def test_the_names_of_a_sweep_are_unique(load: Load) -> None:
    sweep = load(
        "name: a\nset: {data.name: d}\ngrid:\n"
        "  - model.gate: [{init_std: 1}, {bias_init: 1}]\n"
        "  - cases: {base: {model.depth: 3}}\n"
        "  - {}\n"
    )

    found = [point.name for point in sweep.points]
    assert found[:2] == ["model.gate.init_std=1.0", "model.gate.bias_init=1.0"]
    assert len(set(found)) == 4
