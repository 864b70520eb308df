import pytest
from support.pool_bench import Bench


@pytest.mark.slow
def test_failures_are_told_with_an_example_and_rates(done: Bench) -> None:
    told = done.orchestrate("failures", "s").stdout.splitlines()

    assert told[0] == "2 of 3 started jobs failed."
    assert "1 job: exception: ValueError: shard x.tar: key 7 is no image" in told
    assert "  advice: mend what its log shows" in told
    assert f"  b: orchestrate logs {done.id_of('b')[:8]}" in told
    why = "too many steps had no finite gradient, or epochs a loss above that of zero logits"
    assert f"1 job: diverged: {why}" in told
    table = [line.split() for line in told[-4:]]
    assert table[0] == ["axis", "value", "failed", "started", "rate"]
    assert table[1:] == [
        ["case", "a", "0", "1", "0%"],
        ["b", "1", "1", "100%"],
        ["c", "1", "1", "100%"],
    ]


@pytest.mark.slow
def test_a_sweep_in_which_nothing_failed_says_so(bench: Bench) -> None:
    bench.orchestrate("launch", str(bench.sweep("a")), "--wait")

    assert bench.orchestrate("failures").stdout == "0 of 1 started jobs failed.\n"
