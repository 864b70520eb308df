import json

from support.pool_bench import Bench

from model.config import ViTConfig
from model.flops import count_training_macs

KEYS = "name config params forward_macs relative_to_vanilla training_macs"
TIMES = "forward_s training_s forward_ratio training_ratio peak_bytes"
QUICKLY = ("--time", "--device", "cpu", "--batch", "2", "--repeats", "1")


def test_flops_json_has_an_arm_for_each_point(bench: Bench) -> None:
    told = json.loads(bench.orchestrate("flops", str(bench.sweep("a", "b")), "--json").stdout)

    assert told["schema"] == 1
    assert {" ".join(arm) for arm in told["arms"]} == {KEYS}


def test_macs_of_a_backward_pass_stand_beside_those_of_a_forward_pass(bench: Bench) -> None:
    (arm,) = json.loads(bench.orchestrate("flops", str(bench.sweep()), "--json").stdout)["arms"]
    shown = bench.orchestrate("flops", str(bench.sweep())).stdout

    assert arm["training_macs"] == count_training_macs(ViTConfig(**arm["config"]))
    assert f"{arm['training_macs']:,}" in shown
    assert "MACs are not time" in shown


def test_time_is_measured_only_where_it_is_asked_for_and_says_under_which_conditions(
    bench: Bench,
) -> None:
    told = json.loads(bench.orchestrate("flops", str(bench.sweep()), *QUICKLY, "--json").stdout)
    shown = bench.orchestrate("flops", str(bench.sweep()), *QUICKLY, "--precision", "bf16")

    (arm,) = told["arms"]
    assert " ".join(arm) == f"{KEYS} time"
    assert " ".join(arm["time"]) == TIMES
    assert set(arm["time"]["training_s"]) == {"median", "low", "high"}
    assert (told["conditions"]["device"], told["conditions"]["batch"]) == ("cpu", 2)
    for part in ("batch 2", "1 rounds", "bfloat16", "thread(s)"):
        assert part in shown.stdout
