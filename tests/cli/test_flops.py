import json

from support.pool_bench import Bench


def test_flops_json_has_an_arm_for_each_point(bench: Bench) -> None:
    told = json.loads(bench.orchestrate("flops", str(bench.sweep("a", "b")), "--json").stdout)

    assert told["schema"] == 1
    assert {" ".join(arm) for arm in told["arms"]} == {
        "name config params forward_macs relative_to_vanilla"
    }
