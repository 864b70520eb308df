"""A sweep that is over: a job done, one failed, one diverged."""

from support.pool_bench import Bench


def run_to_its_end(bench: Bench) -> None:
    """Run sweep s: a job is done, one failed, one diverged."""
    bench.script("a", "claim", 'point 10 {"val/top1": 91.5, "train/loss": 0.25}', "finish")
    bench.script("b", "claim", 'point 3 {"val/top1": 12.5}', "fail shard x.tar: key 7 is no image")
    bench.script("c", "claim", 'point 10 {"val/top1": "nan"}', "end diverged 0")
    assert bench.orchestrate("launch", str(bench.sweep("a", "b", "c")), "--wait").returncode == 3
