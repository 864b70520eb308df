import json

from support.pool_bench import Bench

from model.config import ViTConfig
from model.flops import count_training_macs
from model.variants import VARIANTS

KEYS = (
    "name config params forward_macs relative_to_vanilla relative_to_first training_macs attention"
)
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


SIZES = """
grid:
  - model.attention: [softmax, value_bias]
  - model.mlp_ratio: [4, 5]
"""


def test_variants_are_described_and_arms_compared_with_the_first_where_mlp_ratios_differ(
    bench: Bench,
) -> None:
    path = str(bench.sweep(text=SIZES))
    arms = json.loads(bench.orchestrate("flops", path, "--json").stdout)["arms"]
    shown = " ".join(bench.orchestrate("flops", path).stdout.split())

    wide = next(arm for arm in arms if "mlp_ratio=5" in arm["name"])
    assert {arm["relative_to_vanilla"] for arm in arms} == {1.0}
    assert arms[0]["relative_to_first"] == 1
    assert wide["relative_to_first"] == wide["forward_macs"] / arms[0]["forward_macs"] > 1
    assert {arm["attention"] for arm in arms} == {
        VARIANTS[name].description for name in ("softmax", "value_bias")
    }
    assert f"value_bias: {VARIANTS['value_bias'].description}" in shown
    assert f"softmax: {VARIANTS['softmax'].description}" not in shown
    assert "'to vanilla' is to vanilla of the arm's own mlp_ratio" in shown


def test_arms_of_one_mlp_ratio_need_no_note(bench: Bench) -> None:
    assert "mlp_ratio" not in bench.orchestrate("flops", str(bench.sweep("a", "b"))).stdout
