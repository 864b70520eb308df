"""Jobs on a real Ray: one cluster for all tests here, and some that launches start themselves."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.pool_bench import SWEEP, Bench, kill, until
from support.ray_cluster import RayCluster, children, further_node, parent, ray_cluster
from support.site import EARLY, Site, metrics_of, one_after_the_other, reference_metrics

from orchestrator.config import RaySite, Resources
from orchestrator.controller.survey import survey
from orchestrator.errors import Refused
from orchestrator.executors import ray_tune
from orchestrator.executors.pool_log import PoolLog, read_pool_log
from orchestrator.executors.ray_ask import nodes_of
from orchestrator.executors.ray_tune import RayExecutor
from orchestrator.jobs.facts import Ending, read_attempts
from orchestrator.jobs.processes import Process
from orchestrator.jobs.store import launched_revision
from orchestrator.jobs.submissions import write_intent

SECONDS = 400
"""Patience with a Ray that starts on a machine that has other things to do."""
FAULTS = Path(__file__).parents[1] / "support" / "faults"
SHARING = """
placement: {device: auto}
max_parallel: null
resources: {jobs_per_allocation: 2, jobs_per_gpu: 2}
"""
NO_GPUS = """
placement: {device: auto}
resources: {gpus_per_node: 0}
"""
ON_TWO_NODES = """
placement: {device: auto, ranks: 2}
resources: {nodes: 2}
"""


@pytest.fixture(scope="session")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster() as found:
        yield found


@pytest.fixture
def on_ray(bench: Bench, cluster: RayCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator["OnRay"]:
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    made = OnRay(bench, cluster.address)
    yield made
    for log in bench.pools():
        kill(log.process)


class OnRay:
    """A bench whose sweep runs on the cluster: two jobs at a time, which share its GPU."""

    def __init__(self, bench: Bench, address: str) -> None:
        self.bench, self.address = bench, address
        self.sweep = bench.folder / "s.yaml"
        head = SWEEP.partition("placement:")[0].format(name="s")
        cases = "".join(f"      {c}: {{optim.lr: {n + 1}e-3}}\n" for n, c in enumerate("abc"))
        self.sweep.write_text(f"{head}{SHARING}\ngrid:\n  - cases:\n{cases}")

    def say(self, *words: str) -> str:
        done = self.bench.orchestrate(*words, patience=SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def launch(self, *options: str) -> str:
        where = ("--executor", "ray", "--address", self.address)
        return self.say("launch", str(self.sweep), *where, *options)

    def ids(self) -> dict[str, str]:
        jobs = launched_revision(self.bench.root, "s")["jobs"]
        return {job["name"]: job["id"] for job in jobs}

    def id_of(self, name: str) -> str:
        return self.ids()[name]

    def states(self) -> dict[str, str]:
        ids = self.ids()
        statuses = survey(self.bench.root, list(ids.values())).statuses
        return {name: str(statuses[job].state) for name, job in ids.items()}

    def await_states(self, **states: str) -> None:
        until(lambda: self.states() == states, SECONDS)

    def newest(self) -> PoolLog:
        folders = sorted(self.bench.root.submissions(), key=lambda one: one.intent.stat().st_mtime)
        log = read_pool_log(folders[-1].pool)
        assert log is not None
        return log

    def ranks(self, a: int, b: int) -> list[Process]:
        """Rank 0 of both, once they have claimed their jobs so many times in all."""
        until(lambda: (len(self.ends("a")), len(self.ends("b"))) == (a, b), SECONDS)
        until(lambda: len(self.newest().started) == 2, SECONDS)
        return [one.process for _, one in sorted(self.newest().started.items())]

    def first_rank(self) -> int:
        """The number of the only member's rank 0."""
        return until(lambda: self.newest().started, SECONDS)[0].process.pid

    def workers(self) -> dict[int, dict[str, str]]:
        """The environments of all workers of this root's submissions, by their numbers."""
        tokens = {folder.token for folder in self.bench.root.submissions()}
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = set((folder / "cmdline").read_text().split("\0"))
                pairs = (folder / "environ").read_text().split("\0")
                if tokens & words and "orchestrator.worker" in words:
                    found[int(folder.name)] = dict(pair.split("=", 1) for pair in pairs if pair)
        return found

    def visible(self) -> dict[str, str]:
        """The GPUs that ranks see which run now, by the ranks' numbers."""
        told = self.workers().values()
        return {one["ORCHESTRATE_RANK"]: one["CUDA_VISIBLE_DEVICES"] for one in told}

    def ends(self, name: str) -> list[str]:
        attempts = read_attempts(self.bench.root.job(self.ids()[name]))
        return [attempt.ending.value if attempt.ending else "killed" for attempt in attempts]


@pytest.mark.slow
def test_jobs_on_ray_are_seen_cancelled_and_go_on_after_trial_or_driver_was_killed(
    on_ray: OnRay,
) -> None:
    for name in "abc":
        on_ray.bench.script(name, "claim", "log here", "point 1", "wait", "point 2", "finish")
    on_ray.launch()
    a, b = on_ray.ranks(1, 1)
    on_ray.await_states(a="RUNNING", b="RUNNING", c="QUEUED")
    told = [one.gpus for one in on_ray.newest().started.values()]
    assert told == [("0",), ("0",)]  # of four CPUs two are free: half a GPU each is what they share
    assert "0 of 3 jobs submitted" in on_ray.launch()
    shown = json.loads(on_ray.say("status", "s", "--json"))["jobs"]
    assert [(row["state"], row["executor"]) for row in shown][::2] == [
        ("RUNNING", "ray"),
        ("QUEUED", "ray"),
    ]
    assert "here" in on_ray.say("logs", on_ray.id_of("a"))

    on_ray.say("cancel", on_ray.id_of("c"), "--yes")
    on_ray.await_states(a="RUNNING", b="RUNNING", c="CANCELLED")
    on_ray.say("cancel", on_ray.id_of("a"), "--yes")
    on_ray.await_states(a="CANCELLED", b="RUNNING", c="CANCELLED")
    os.kill(parent(b.pid), signal.SIGKILL)  # the trial's process
    on_ray.await_states(a="CANCELLED", b="PREEMPTED", c="CANCELLED")
    assert "stopped by a signal" in on_ray.say("why", on_ray.id_of("b"))
    assert [a.alive(), b.alive()] == [False, False]

    on_ray.launch()
    ranks = on_ray.ranks(2, 2)
    driver = on_ray.newest().process
    kill(driver)
    until(lambda: not driver.alive() and not any(rank.alive() for rank in ranks), SECONDS)

    on_ray.launch()
    on_ray.ranks(3, 3)
    os.kill(on_ray.newest().process.pid, signal.SIGTERM)
    until(lambda: not on_ray.newest().process.alive(), SECONDS)
    assert [end.exit_code for _, end in sorted(on_ray.newest().ended.items())] == [75, 75, None]

    on_ray.bench.go(*"abc")
    on_ray.launch("--wait")

    assert on_ray.states() == dict.fromkeys("abc", "DONE")
    assert on_ray.ends("a") == ["stopped", "stopped", "stopped", "finished"]
    assert on_ray.ends("b") == ["stopped", "stopped", "stopped", "finished"]
    assert on_ray.ends("c") == ["finished"]
    for name in "abc":
        assert one_after_the_other(on_ray.bench.root.job(on_ray.id_of(name)))
    assert not (Path.home() / ".ray" / "auth_token").exists()


@pytest.mark.slow
def test_a_job_that_asks_for_no_gpu_sees_none_on_a_cluster_that_has_some(on_ray: OnRay) -> None:
    text = on_ray.sweep.read_text().replace(SHARING, NO_GPUS)
    on_ray.sweep.write_text(text)
    on_ray.bench.script("a", "claim", "wait", "finish")
    for name in "bc":
        on_ray.bench.script(name, "claim", "finish")

    on_ray.launch()
    on_ray.await_states(a="RUNNING", b="DONE", c="DONE")

    assert on_ray.visible() == {"0": ""}
    on_ray.bench.go("a")
    on_ray.await_states(a="DONE", b="DONE", c="DONE")


@pytest.mark.slow
def test_a_job_of_two_nodes_one_of_which_dies_goes_on_when_there_is_another(
    on_ray: OnRay, cluster: RayCluster
) -> None:
    head = SWEEP.partition("placement:")[0].format(name="s")
    on_ray.sweep.write_text(f"{head}{ON_TWO_NODES}")
    on_ray.bench.script("base", "claim", "wait", "finish")
    on_ray.bench.script("base.rank1", "wait", "exit 0")
    with further_node(cluster) as raylet:
        until(lambda: len(nodes_of(cluster.address)) == 2, SECONDS)
        on_ray.launch()
        on_ray.await_states(base="RUNNING")
        until(lambda: on_ray.visible() == {"0": "0", "1": "6"})
        os.kill(raylet, signal.SIGKILL)
        on_ray.await_states(base="PREEMPTED")
    on_ray.bench.go("base")

    with further_node(cluster):
        until(lambda: len(nodes_of(cluster.address)) == 2, SECONDS)
        on_ray.launch("--wait")

    assert on_ray.states() == {"base": "DONE"}
    assert on_ray.ends("base")[-1] == "finished"
    assert one_after_the_other(on_ray.bench.root.job(on_ray.id_of("base")))


@pytest.mark.slow
def test_a_further_node_says_why_it_starts_nothing_and_keeps_no_order_away_while_it_hangs(
    on_ray: OnRay, cluster: RayCluster
) -> None:
    bench = on_ray.bench
    head = SWEEP.partition("placement:")[0].format(name="s")
    on_ray.sweep.write_text(f"{head}{ON_TWO_NODES}")
    for name in ("a", "base"):
        bench.script(name, "claim", "stay")
        bench.script(f"{name}.rank1", "stay")
    asked = {"ray": RaySite(address=cluster.address), "resources": Resources(nodes=2)}
    draft = bench.draft("a", executor="ray", placement={"ranks": 2}, **asked)
    executor = RayExecutor(bench.root)
    with further_node(cluster):
        until(lambda: len(nodes_of(cluster.address)) == 2, SECONDS)
        folder = write_intent(bench.root, draft, executor.render(draft))
        folder.member_log(0, 1).mkdir()
        executor.submit(draft)
        end = until(lambda: bench.log(draft).ended, SECONDS)[0]
        assert (end.exit_code, end.by_place, end.rank) == (126, False, 1)
        assert "Is a directory" in end.detail

        on_ray.launch()
        on_ray.await_states(base="RUNNING")
        hung = parent(until(lambda: on_ray.workers().keys() - {on_ray.first_rank()}, SECONDS).pop())
        os.kill(hung, signal.SIGSTOP)
        try:
            on_ray.say("cancel", on_ray.id_of("base"), "--yes")
            until(lambda: on_ray.ends("base") == ["stopped"], 60)
            assert on_ray.newest().ended == {}
        finally:
            os.kill(hung, signal.SIGCONT)
        on_ray.await_states(base="CANCELLED")


@pytest.mark.slow
def test_a_node_that_has_just_died_keeps_no_launch_away(on_ray: OnRay, cluster: RayCluster) -> None:
    for name in "abc":
        on_ray.bench.script(name, "claim", "finish")
    with further_node(cluster):
        pass  # Ray calls it alive for seconds still

    on_ray.launch()
    on_ray.await_states(a="DONE", b="DONE", c="DONE")


@pytest.mark.slow
def test_a_search_stops_jobs_on_ray_by_the_scheduler_of_tune_without_a_watch(on_ray: OnRay) -> None:
    search = "search: {asha: {metric: val/top1, grace: 2, reduction: 2}}\n"
    on_ray.sweep.write_text(search + on_ray.sweep.read_text())
    on_ray.bench.script("a", "claim", 'point 2 {"val/top1": 50}', "wait", "finish")
    on_ray.bench.script("b", "claim", "wait", 'point 2 {"val/top1": 40}', "stay")
    on_ray.bench.script("c", "claim", "wait", 'point 2 {"val/top1": 60}', "finish")

    on_ray.launch()
    on_ray.ranks(1, 1)
    until(lambda: metrics_of(on_ray.bench.root.job(on_ray.id_of("a"))), SECONDS)
    on_ray.bench.go("b")
    on_ray.await_states(a="RUNNING", b="STOPPED", c="RUNNING")
    on_ray.bench.go("a", "c")
    on_ray.await_states(a="DONE", b="STOPPED", c="DONE")

    assert on_ray.ends("b") == ["stopped"]
    assert "rung 1" in on_ray.say("why", on_ray.id_of("b"))
    assert "0 of 3 jobs submitted" in on_ray.launch()


@pytest.mark.slow
def test_a_rank_that_fails_or_never_starts_is_told_as_on_any_other_place(on_ray: OnRay) -> None:
    on_ray.bench.script("a", "claim", "fail no such thing")
    on_ray.bench.script("b", "kill 9")
    on_ray.bench.script("c", "claim", "finish")

    on_ray.launch()
    on_ray.await_states(a="FAILED", b="FAILED", c="DONE")

    assert "no such thing" in on_ray.say("why", on_ray.id_of("a"))
    assert "signal 9" in on_ray.say("failures", "s")
    ended = on_ray.newest().ended
    assert [(ended[n].exit_code, ended[n].signal) for n in range(3)] == [
        (1, None),
        (None, 9),
        (0, None),
    ]
    on_ray.bench.script("a", "claim", "finish")
    on_ray.say("retry", on_ray.id_of("a"))
    on_ray.await_states(a="DONE", b="FAILED", c="DONE")


@pytest.mark.slow
def test_two_ranks_on_a_ray_of_their_own_go_on_after_it_was_killed_with_the_same_bits(
    tmp_path: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where Ray would leave a key
    site = Site(tmp_path, digits)
    every = {"every_epochs": 10}
    short = {"train": {"epochs": 10}, "evaluation": every, "probe": every}
    sweep = str(site.write(set=short, placement={"checkpoint_minutes": 0}))
    monkeypatch.setenv("PYTHONPATH", str(FAULTS))
    monkeypatch.setenv("LINGER_S", "0.05")  # so that it is not over before its cluster is
    site.orchestrate("launch", sweep, "--executor", "ray")
    (folder,) = site.root.submissions()
    until(site.attempts, SECONDS)
    site.await_step(EARLY)
    log = read_pool_log(folder.pool)
    assert log is not None
    (raylet,) = (pid for pid, line in children(log.process.pid).items() if "raylet/raylet" in line)
    os.kill(raylet, signal.SIGKILL)
    until(lambda: not log.process.alive(), SECONDS)
    site.await_state("PREEMPTED", seconds=SECONDS)

    monkeypatch.delenv("LINGER_S")
    site.orchestrate("launch", sweep, "--executor", "ray", "--wait", "--every", "1")

    first, last = site.attempts()
    assert (first.ending, last.ending) == (Ending.STOPPED, Ending.FINISHED)
    assert last.from_step
    assert last.from_step >= EARLY
    assert one_after_the_other(site.job())
    (tmp_path / "local").mkdir()
    assert site.metrics() == reference_metrics(tmp_path / "local", digits, set=short)
    assert not (tmp_path / ".ray").exists()
    assert not list(Path("/tmp").glob(f"o-ray-{os.getuid()}/{folder.token}"))


@pytest.mark.slow
@pytest.mark.soak
def test_a_sweep_of_one_rank_has_the_same_table_of_results_on_ray_as_here(
    tmp_path: Path, digits: Path, cluster: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    short = {
        "train": {"epochs": 2},
        "evaluation": {"every_epochs": 1},
        "probe": {"every_epochs": 2},
    }
    tables, ids = [], []
    for place in (("ray", "--address", cluster.address), ("local",)):
        (tmp_path / place[0]).mkdir()
        site = Site(tmp_path / place[0], digits)
        sweep = str(site.write(set=short, placement={"ranks": 1}, seeds=[0, 1], max_parallel=2))
        site.orchestrate("launch", sweep, "--executor", *place, "--wait")
        asked = ("results", "s", "--metric", "val/top1", "--also", "train/loss", "--json")
        tables.append(json.loads(site.orchestrate(*asked)))
        jobs = launched_revision(site.root, "s")["jobs"]
        ids.append({job["id"]: metrics_of(site.root.job(job["id"])) for job in jobs})

    assert ids[0] == ids[1]
    assert tables[0] == tables[1]
    assert tables[0]["rows"][0]["n"] == 2


def test_a_node_that_does_not_see_the_run_root_is_refused_by_name(
    on_ray: OnRay, bench: Bench
) -> None:
    site = RaySite(address=on_ray.address)
    lost = bench.draft("a", executor="ray", ray=site, snapshot="0" * 16)
    executor = RayExecutor(bench.root)
    write_intent(bench.root, lost, executor.render(lost))

    with pytest.raises(Refused, match=r"nodes .* do not see the run root .*: \S+; put it on"):
        executor.submit(lost)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 1.2\n"), False),
        (ConnectionError("Failed to connect to Ray cluster"), True),
    ],
)
def test_a_cluster_of_another_version_is_not_taken_for_one_that_is_busy(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, error: Exception, passes: bool
) -> None:
    from orchestrator.executors import ray_theirs

    def refuse(**_: object) -> None:
        raise error

    monkeypatch.setattr(ray_theirs, "unreachable", lambda _: None)
    monkeypatch.setattr(ray_theirs.ray, "init", refuse)
    for name in ray_theirs.CARRIED:
        monkeypatch.setenv(name, "")

    with pytest.raises(ray_theirs.NotThere, match=" ".join(str(error).split())) as caught:
        ray_theirs.connect("node1:6379", bench.root, bench.draft("a", executor="ray"))

    assert caught.value.passes is passes


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--address", "127.0.0.1:1"), "no Ray cluster answers at 127.0.0.1:1"),
        (("--address", "ray://node1:10001"), "--address: 'ray://node1:10001' is no address"),
        (("--executor", "local", "--address", "a:1"), "the executor is local"),
        (("--set", "seed=1"), r"asks for 1 node(s) with 901 CPU(s)"),
    ],
)
def test_what_cannot_run_on_ray_is_refused_before_anything_is_created(
    tmp_path: Path, digits: Path, options: tuple[str, ...], words: str
) -> None:
    many = 900 if "--set" in options else 0
    sweep = Site(tmp_path, digits).write(placement={"ranks": 1, "loader_workers": many})
    where = () if "--executor" in options else ("--executor", "ray")

    said = Site(tmp_path, digits).orchestrate("launch", str(sweep), *where, *options, code=1)

    assert words in " ".join(said.split())
    assert not (tmp_path / "runs").exists()


def test_a_machine_without_ray_is_told_which_extra_brings_it(
    tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_tune, "find_spec", lambda name: None if name == "ray" else name)

    (words,) = RayExecutor(bench.root).check(bench.draft("a", executor="ray"))

    assert "pip install 'orchestrate-vit[ray]'" in words


def test_nothing_but_a_driver_and_its_trials_loads_ray() -> None:
    every = "import sys, orchestrator.cli.main, orchestrator.executors.ray_tune as r; "
    look = every + "r.RayExecutor(None).render; print('ray' in sys.modules)"

    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)

    assert said.stdout == "False\n"
