import pytest
from support.pool_bench import Bench, until

from orchestrator.controller.launch import launch
from orchestrator.controller.logs import find_log, is_over
from orchestrator.controller.select import select_one
from orchestrator.errors import OrchestrateError

pytestmark = pytest.mark.slow


def test_the_words_of_a_start_that_never_claimed_its_job_are_found_unattended(
    bench: Bench,
) -> None:
    bench.script("a", "say cannot import torch", "exit 1")
    launch(bench.load("a"), root_path=bench.root.path, data_root=bench.data)
    job = select_one(bench.root, "s/a")
    until(lambda: is_over(bench.root, job))

    path = find_log(bench.root, job, attempt=None, rank=0)

    assert path.read_text() == "cannot import torch\n"


def test_each_attempt_has_its_own_log_and_the_newest_is_shown(bench: Bench) -> None:
    bench.script("a", "claim", "log first", "fail x")
    sweep = bench.load("a")
    for words in ("first", "second"):
        bench.script("a", "claim", f"log {words}", "fail x")
        launch(sweep, root_path=bench.root.path, data_root=bench.data)
        until(lambda: is_over(bench.root, select_one(bench.root, "s/a")))
    job = select_one(bench.root, "s/a")

    shown = [find_log(bench.root, job, attempt=n, rank=0).read_text() for n in (None, 1, 2)]

    assert shown == ["second\n", "first\n", "second\n"]
    with pytest.raises(OrchestrateError, match=r"no attempt 3 \(there: 1, 2\)"):
        find_log(bench.root, job, attempt=3, rank=0)
    with pytest.raises(OrchestrateError, match="no log of rank 4 yet: it is FAILED"):
        find_log(bench.root, job, attempt=None, rank=4)
