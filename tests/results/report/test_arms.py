from support.built_study import built_run, built_runs

from orchestrator.results.report.arms import arms_of, baseline_of, common_rate, name_of


def test_an_arm_is_called_by_its_place_on_the_axes_but_for_seed_and_rate() -> None:
    axes = {"case": "vanilla", "model.registers": 4, "optim.lr": 0.003, "seed": 1}

    assert name_of(axes, str) == "vanilla,registers=4"
    assert name_of({"seed": 1}, str) == "base"


def test_arms_are_compared_at_the_rate_that_most_of_them_have() -> None:
    runs = built_runs()

    assert common_rate(runs) == 3e-3
    assert common_rate([]) is None
    vanilla = arms_of(runs, 3e-3)[0]
    assert [run.lr for run in vanilla.runs] == [3e-3] * 3
    assert [*vanilla.by_rate] == [3e-3, 5e-3]


def test_an_arm_of_another_single_rate_is_compared_at_that() -> None:
    runs = [*built_runs(), built_run("vanilla", 0, id="x", key="other", arm="slow", lr=1e-4)]

    slow = next(arm for arm in arms_of(runs, 3e-3) if arm.name == "slow")

    assert [run.lr for run in slow.runs] == [1e-4]


def test_registers_come_in_the_order_of_their_number_and_families_together() -> None:
    runs = [built_run(arm, 0) for arm in ("gate-sdpa", "registers=16", "vanilla", "registers=4")]

    arms = arms_of(runs, 3e-3)

    assert [arm.name for arm in arms] == ["gate-sdpa", "registers=4", "registers=16", "vanilla"]
    assert baseline_of(arms) == 3


def test_arms_of_one_name_are_numbered() -> None:
    runs = [built_run("vanilla", 0, key=key) for key in "ab"]

    assert [arm.name for arm in arms_of(runs, 3e-3)] == ["vanilla (1)", "vanilla (2)"]


def test_the_baseline_is_the_plain_arm_with_most_runs() -> None:
    runs = [built_run("vanilla", 0, key="wide", arm="wide"), *built_runs()]
    arms = arms_of(runs, 3e-3)

    baseline = baseline_of(arms)

    assert baseline is not None
    assert arms[baseline].name == "vanilla"
    assert baseline_of(arms_of([built_run("gate-sdpa", 0)], 3e-3)) is None
