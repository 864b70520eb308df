import pytest
from support.pool_bench import Bench, until

from orchestrator.jobs.rules import ADVICE, RULES


@pytest.mark.slow
def test_retry_tells_its_rules_and_does_nothing_or_submits_what_failed(bench: Bench) -> None:
    bench.script("a", "claim", "fail no such layer")
    bench.script("b", "claim", "fail no such layer")
    bench.orchestrate("launch", str(bench.sweep("a", "b", "c")), "--wait")

    why = bench.orchestrate("retry", "s", "--why")
    submissions = len(bench.root.submissions())
    again = bench.orchestrate("retry", "s/a")

    assert why.stdout.splitlines() == [
        "2: a, b",
        f"  exception: {RULES['exception'].meaning}; a watch does not try such a job again.",
        f"  Action: stop; {ADVICE['exception']}.",
    ]
    assert submissions == 1
    assert again.stdout == "1 of 1 jobs submitted again.\n"
    until(lambda: len(bench.attempts_on(bench.id_of("a"))) == 2)
    assert bench.orchestrate("retry", "s/c").stdout.startswith("Nothing to retry")
    assert bench.orchestrate("retry", "nothing").returncode == 1
