from support.built_study import built_run, built_runs, built_study

from orchestrator.results.contrasts import Verdict
from orchestrator.results.report.numbers import MINUS
from orchestrator.results.report.page import page, pictures_of
from orchestrator.results.report.rates import at_other_rates, in_short, rate_tables

ALL_LOST = (
    "At a learning rate of 0.005, no run of vanilla finished. Diverged, and in no mean: 3 of 3 of "
    "vanilla."
)


def test_a_rate_at_which_every_run_of_the_plain_arm_diverged_is_told_and_not_left_out() -> None:
    study = built_study()

    (one,) = at_other_rates(study)

    assert (one.rate, [arm.name for arm in one.arms]) == (5e-3, ["vanilla", "gate-sdpa"])
    assert in_short(one) == ALL_LOST
    said = "".join(rate_tables([one]))
    assert said.count("3 of 3") == 2  # in the sentence and in the table
    assert "0 of 3" in said
    assert ALL_LOST in page(study, pictures_of(study))  # in the answer in short, too


def test_arms_stand_beside_the_plain_one_at_the_same_rate_with_the_fall_from_the_usual_one() -> (
    None
):
    finished = [run for run in built_runs() if not run.diverged]
    lower = [
        built_run(
            "vanilla", seed, id=f"low{seed}", lr=5e-3, curves={"val/top1": {30: 60.0 + 0.1 * seed}}
        )
        for seed in range(3)
    ]
    (one,) = at_other_rates(built_study(finished + lower))

    (told,) = one.contrasts[1:]
    assert told is not None
    assert told.verdict is Verdict.HIGHER
    assert in_short(one) == (
        f"At a learning rate of 0.005, vanilla reaches 60.1 % top-1 ({MINUS}20.0 points to 0.003); "
        "beside it, higher: gate-sdpa (+16.0 points). No run diverged."
    )


def test_a_rate_at_which_runs_are_to_come_says_so_and_not_that_none_diverged() -> None:
    runs = [run for run in built_runs() if not run.diverged]
    runs += [built_run("vanilla", seed, id=f"low{seed}", lr=5e-3) for seed in range(2)]
    runs.append(built_run("vanilla", 2, id="low2", lr=5e-3, outcome=""))
    (one,) = at_other_rates(built_study(runs))

    assert in_short(one).endswith("gate-sdpa (\N{MINUS SIGN}3.9 points). 1 run came to no end.")


def test_the_only_rate_of_the_plain_arm_is_no_other_rate() -> None:
    runs = [built_run("vanilla", seed, lr=5e-3) for seed in range(3)]
    runs += [built_run(arm, seed) for arm in ("registers=4", "gate-sdpa") for seed in range(3)]

    assert at_other_rates(built_study(runs)) == []


def test_a_study_of_one_rate_has_no_such_tables() -> None:
    runs = [run for run in built_runs() if run.lr == 3e-3]

    assert at_other_rates(built_study(runs)) == []
    assert [*rate_tables([])] == []
