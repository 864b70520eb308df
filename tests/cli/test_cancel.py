import json

import pytest
from support.pool_bench import Bench, until
from support.terminal import Terminal


@pytest.mark.slow
def test_cancel_asks_first_and_yes_does_not(bench: Bench) -> None:
    bench.script("a", "claim", "wait")
    bench.script("b", "claim", "wait")
    bench.orchestrate("launch", str(bench.sweep("a", "b")))
    orders = bench.root.orders

    unasked = bench.orchestrate("cancel", "s")
    refused = Terminal(bench, "cancel", "s/a")
    until(lambda: "Cancel them? [y/N]" in refused.read())
    refused.type("n\n")
    assert (refused.exit_code(), unasked.returncode) == (1, 1)
    assert not list(orders.glob("*.json"))

    agreed = Terminal(bench, "cancel", "s/a")
    until(lambda: "[y/N]" in agreed.read())
    agreed.type("y\n")
    assert agreed.exit_code() == 0
    assert bench.orchestrate("cancel", "s", "--yes", "--why", "enough").returncode == 0
    until(lambda: "2 CANCELLED" in bench.orchestrate("status").stdout)
    assert "Nothing to cancel" in bench.orchestrate("cancel", "s", "--yes").stdout
    assert [json.loads(p.read_bytes())["why"] for p in sorted(orders.iterdir())] == ["", "enough"]
