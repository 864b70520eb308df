import json

import pytest
from support.pool_bench import Bench


@pytest.mark.slow
def test_two_jobs_of_one_launch_differ_in_their_settings_and_measurements_alone(
    done: Bench,
) -> None:
    told = done.orchestrate("compare", "s/a", "s/b", "--json")

    found = json.loads(told.stdout)
    assert {row["aspect"] for row in found["differs"]} == {"settings"}
    curve = next(one for one in found["curves"] if one["metric"] == "val/top1")
    assert (curve["one"], curve["other"]) == (91.5, 12.5)
    assert found["answers"] is None


@pytest.mark.slow
def test_a_job_beside_itself_differs_in_nothing_and_is_called_one_run(done: Bench) -> None:
    told = done.orchestrate("compare", "s/a", "s/a").stdout

    assert "They differ in nothing that is known" in told
    assert "never" in told
    assert "These are two runs" in told


@pytest.mark.slow
def test_a_name_that_means_several_jobs_is_refused(done: Bench) -> None:
    told = done.orchestrate("compare", "s", "s/a")

    assert told.returncode == 1
    assert "'s' means 3 jobs" in told.stderr
