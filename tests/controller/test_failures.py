from typing import Any

import pytest

from orchestrator.controller.failures import Case, Rate, folded, grouped, rates

OOM = "OutOfMemoryError: CUDA out of memory. Tried to allocate {}.00 GiB. GPU 0 has 79.15 GiB"


def case(number: int, kind: str = "", message: str = "", **axes: Any) -> Case:
    named = {name.replace("_", "."): value for name, value in axes.items()}
    return Case(f"{number:032x}", f"job{number}", named, kind, message)


def sweep_with_large_models_out_of_memory(finer: int = 0) -> list[Case]:
    """Dims 512 and 1024, two rates, three seeds; all of 1024 but ``finer`` of them fail."""
    made = []
    for dim in (512, 1024):
        for n in range(30):
            axes = {"model_dim": dim, "optim_lr": n % 2, "seed": n % 3}
            failed = dim == 1024 and n >= finer
            told = ("gpu_memory", OOM.format(n)) if failed else ("", "")
            made.append(case(len(made), *told, **axes))
    return made


@pytest.mark.parametrize(
    ("message", "shape"),
    [
        (
            OOM.format(7),
            "OutOfMemoryError: CUDA out of memory. Tried to allocate N GiB. GPU N has N GiB",
        ),
        ("cannot read /data/a-b/train-00017.tar: key 7", "cannot read PATH: key N"),
        ("object at 0x7f6ab7ed2890 of deadbeef12", "object at HEX of HEX"),
        ("it has 123456789 bytes, not 12", "it has N bytes, not N"),
        ("loss 1.5e-07 on node12 (TIMEOUT)", "loss N on nodeN (TIMEOUT)"),
        ("defaced facade and/or effaced", "defaced facade and/or effaced"),
    ],
)
def test_paths_addresses_and_numbers_are_folded_and_words_are_not(message: str, shape: str) -> None:
    assert folded(message) == shape


def test_failures_alike_are_one_group_with_what_only_they_have() -> None:
    (group,) = grouped(sweep_with_large_models_out_of_memory())

    assert (group.kind, group.count, dict(group.only)) == ("gpu_memory", 30, {"model.dim": 1024})
    assert group.message == folded(OOM.format(7))
    assert group.example == {"id": f"{30:032x}", "name": "job30"}
    assert len(group.job_ids) == 30


@pytest.mark.parametrize(("finer", "only"), [(3, {"model.dim": 1024}), (4, {})])
def test_a_few_that_did_not_fail_do_not_hide_what_the_others_have_in_common(
    finer: int, only: dict[str, Any]
) -> None:
    (group,) = grouped(sweep_with_large_models_out_of_memory(finer))

    assert group.only == only


def test_two_settings_that_fail_only_together_are_named_together() -> None:
    cases = [
        case(n, *(("exception", "E: x") if dim and lr else ("", "")), dim=dim, lr=lr, seed=n)
        for n, (dim, lr) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)] * 3)
    ]

    (group,) = grouped(cases)

    assert group.only == {"dim": 1, "lr": 1}
    assert group.message == "E: x"


def test_a_single_failure_or_one_of_all_jobs_has_nothing_that_only_it_has() -> None:
    one = [case(0, "exit", "x", dim=1), case(1, dim=2)]
    all_of_them = [case(n, "exit", "x", dim=1) for n in range(3)]

    assert [group.only for group in grouped(one) + grouped(all_of_them)] == [{}, {}]


def test_groups_of_other_kinds_and_messages_stay_apart_the_largest_first() -> None:
    cases = [case(0, "data", "key 1"), case(1, "exit", "key 1"), case(2, "exit", "key 2")]

    assert [(g.kind, g.message, g.count) for g in grouped(cases)] == [
        ("exit", "key N", 2),
        ("data", "key 1", 1),
    ]


def test_rates_are_told_of_each_value_of_the_axes_on_which_jobs_differ() -> None:
    cases = sweep_with_large_models_out_of_memory(finer=15)
    same = [Case(c.id, c.name, {**c.axes, "fixed": {"a": 1}}, c.kind, c.message) for c in cases]

    found = {(one.axis, one.value): (one.failed, one.started) for one in rates(same)}

    assert found[("model.dim", 512)] == (0, 30)
    assert found[("model.dim", 1024)] == (15, 30)
    assert found[("optim.lr", 0)] == (7, 30)
    assert "fixed" not in {axis for axis, _ in found}
    assert rates(cases)[1] == Rate(axis="model.dim", value=1024, failed=15, started=30, rate=0.5)


def test_nothing_failed_is_no_group() -> None:
    assert grouped([case(0, dim=1)]) == grouped([]) == rates([]) == []
