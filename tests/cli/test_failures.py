import json

import pytest
from support.pool_bench import Bench


@pytest.mark.slow
def test_failures_are_told_with_an_example_and_rates(done: Bench) -> None:
    told = done.orchestrate("failures", "s").stdout.splitlines()

    assert told[0] == "2 of 3 started jobs failed."
    assert "1 job: exception: ValueError: shard x.tar: key 7 is no image" in told
    assert "  advice: mend what its log shows" in told
    assert f"  b: orchestrate logs {done.id_of('b')[:8]}" in told
    assert "1 job: diverged: too many steps in a row had no finite gradient" in told
    table = [line.split() for line in told[-4:]]
    assert table[0] == ["axis", "value", "failed", "started", "rate"]
    assert {(axis, *rest) for axis, _, *rest in table[1:]} == {
        ("case", "0", "1", "0%"),
        ("case", "1", "1", "100%"),
    }


@pytest.mark.slow
def test_failures_json_has_the_documented_keys_and_no_others(done: Bench) -> None:
    told = json.loads(done.orchestrate("failures", "--json").stdout)

    assert " ".join(told) == "schema sweep started failed groups rates notes"
    assert (told["schema"], told["sweep"], told["started"], told["failed"]) == (1, None, 3, 2)
    assert all(
        " ".join(group) == "kind message count only example job_ids" for group in told["groups"]
    )
    assert all(" ".join(rate) == "axis value failed started rate" for rate in told["rates"])


@pytest.mark.slow
def test_a_sweep_in_which_nothing_failed_says_so(bench: Bench) -> None:
    bench.orchestrate("launch", str(bench.sweep("a")), "--wait")

    assert bench.orchestrate("failures").stdout == "0 of 1 started jobs failed.\n"
