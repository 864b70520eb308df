"""A sweep file from Python: planned, launched, watched."""

import pytest
from support.pool_bench import Bench

from orchestrator import SpecError, Sweep

ENDS_WELL = ("claim", 'point 10 {"val/top1": 91.5}', "finish")


def load(bench: Bench, *cases: str, **more: object) -> Sweep:
    places = {"root": bench.root.path, "data_root": bench.data}
    return Sweep.load(bench.sweep(*cases), **places, **more)  # type: ignore[arg-type]


def test_settings_seeds_and_places_are_those_of_the_command_line(bench: Bench) -> None:
    sweep = load(bench, "a", "b", set={"model.gate": {"position": "sdpa"}, "optim.lr": 1e-5})
    plan = load(bench, "a", seeds=[0, 1], set={"train.epochs": 20}).plan()

    assert len(sweep) == 1  # the rate that told a from b is the same now
    assert sweep.plan().config.iloc[0]["optim"]["lr"] == 1e-5
    assert sweep.plan().config.iloc[0]["model"]["gate"]["position"] == "sdpa"
    assert plan.seed.to_list() == [0, 1]
    assert {config["train"]["epochs"] for config in plan.config} == {20}
    assert plan.attrs["counts"] == {"PLANNED": 2}


def test_a_value_that_no_file_could_hold_is_refused_by_its_key(bench: Bench) -> None:
    with pytest.raises(SpecError, match=r"value of optim\.lr is a object"):
        load(bench, "a", set={"optim.lr": object()})
    with pytest.raises(SpecError, match=r"optim\.rate"):
        load(bench, "a", set={"optim.rate": 1})


def test_a_plan_shows_the_script_and_keeps_a_budget(bench: Bench) -> None:
    sweep = load(bench, "a")

    assert "orchestrator.executors.pool" in sweep.plan(script=True).attrs["scripts"]["a"]
    assert sweep.plan().attrs["notes"] == []
    assert "of unknown cost" in sweep.plan(max_gpu_hours=1).attrs["notes"][0]


def test_costs_are_those_of_its_arms(bench: Bench) -> None:
    flops = load(bench, "a", "b").flops()

    assert flops.relative_to_vanilla.to_list() == [1.0]


@pytest.mark.slow
def test_a_launch_is_watched_to_its_end_and_discards_only_after_a_yes(bench: Bench) -> None:
    bench.script("a", *ENDS_WELL)
    sweep = load(bench, "a")

    launched = sweep.launch()
    rounds = [*sweep.watch(every=0.2)]

    assert len(launched.submitted) == 1
    assert rounds[-1].state.to_list() == ["DONE"]
    assert rounds[-1].equals(sweep.status())
    assert [*sweep.watch(once=True)][-1].equals(sweep.wait())
    assert sweep.results()["mean"].to_list() == [91.5]
    assert sweep.launch(canary=True).submitted == ()
    with pytest.raises(SpecError, match="discards what a measured"):
        sweep.launch(fresh="all")
    assert sweep.launch(fresh="a", yes=True).submitted == launched.submitted
    assert sweep.wait().attempts.to_list() == [2]


def test_a_controller_needs_a_cluster(bench: Bench) -> None:
    with pytest.raises(SpecError, match="needs a cluster; the executor is local"):
        load(bench, "a").launch(controller=True)
