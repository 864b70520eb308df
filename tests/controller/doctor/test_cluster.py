"""Each check of the cluster finds what is planted in SLURM's answers, or in the profile."""

from pathlib import Path
from typing import Any

import pytest
from fakes.slurm import FakeSlurm, profile

from orchestrator.controller.doctor import cluster
from orchestrator.controller.doctor.finding import Finding, Level, Look, Patient
from orchestrator.executors import slurm_queries
from orchestrator.executors.slurm_site import PartitionFacts, parse_partitions

SITE: dict[str, Any] = {
    "gpu": {"time": "2d", "gpus_per_node": 4, "gpu_type": "a100", "cores_per_node": 64},
    "cpu": {"time": "12h"},
}
SINFO = (
    "gpu|up|2-00:00:00|3|64+|512000|gpu:a100:4(S:0-1)|idle",
    "gpu|up|2-00:00:00|1|64|256000|gpu:a100:2,gpu:v100:2|drain*",
    "cpu|up|12:00:00|2|32|128000|(null)|mix",
    "long|up|infinite|2|32|128000|(null)|alloc",
)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    made = FakeSlurm(tmp_path / "site", monkeypatch)
    made.answer("sinfo", *SINFO)
    return made


def found(look: Look, tmp_path: Path, **site: Any) -> list[Finding]:
    patient = Patient(
        root_path=tmp_path / "runs",
        data_root=tmp_path / "data",
        cluster=profile(**{"partitions": SITE, **site}),
    )
    return [*look(patient)]


def without_profile(look: Look, tmp_path: Path) -> list[Finding]:
    return [*look(Patient(root_path=tmp_path / "runs", data_root=tmp_path / "data"))]


def levels(findings: list[Finding]) -> list[Level]:
    return [one.level for one in findings]


def test_lines_of_sinfo_are_put_together_by_partition() -> None:
    told = parse_partitions("\n".join(SINFO))

    assert told["gpu"] == PartitionFacts(
        up=True,
        minutes=2880,
        nodes=4,
        usable=3,
        cores=64,
        mem_gb=500,
        gpus=4,
        gpu_types=("a100", "v100"),
    )
    assert (told["long"].minutes, told["cpu"].minutes) == (None, 720)


@pytest.mark.usefixtures("slurm")
def test_a_cluster_that_is_as_its_profile_says_passes(tmp_path: Path) -> None:
    for look in (cluster.check_slurm, cluster.check_accounting, cluster.check_submission):
        assert set(levels(found(look, tmp_path))) == {Level.OK}, look
    assert [one.found for one in found(cluster.check_partitions, tmp_path)] == [
        "gpu: 3 of 4 nodes in service, each up to 64 cores, 500 GB, 4 GPUs a100/v100; 48 h",
        "cpu: 2 of 2 nodes in service, each up to 32 cores, 125 GB, 0 GPUs; 12 h",
    ]


def test_slurm_that_is_silent_is_bad_where_there_is_a_profile(
    slurm: FakeSlurm, tmp_path: Path
) -> None:
    slurm.answer("scontrol", errors="Unable to contact slurm controller", code=1)

    with_profile, without = (
        found(cluster.check_slurm, tmp_path),
        without_profile(cluster.check_slurm, tmp_path),
    )

    assert (levels(with_profile), levels(without)) == ([Level.BAD], [Level.WARN])
    assert "Unable to contact" in with_profile[0].found


def test_a_machine_without_slurm_needs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm_queries.cluster.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))

    assert levels(without_profile(cluster.check_slurm, tmp_path)) == [Level.OK]
    assert levels(found(cluster.check_slurm, tmp_path)) == [Level.BAD]


@pytest.mark.usefixtures("slurm")
def test_a_profile_of_another_cluster_is_bad_and_none_is_told(tmp_path: Path) -> None:
    (other,) = found(cluster.check_slurm, tmp_path, name="beta")
    (none,) = without_profile(cluster.check_slurm, tmp_path)

    assert (other.level, "the profile is of 'beta'" in other.found) == (Level.BAD, True)
    assert (none.level, "cluster.example.yaml" in none.advice) == (Level.WARN, True)


def test_accounting_that_is_off_or_silent_is_told(slurm: FakeSlurm, tmp_path: Path) -> None:
    slurm.answer("sacct", errors="sacct: error: Problem talking to the database", code=1)
    silent = found(cluster.check_accounting, tmp_path)
    slurm_queries.cluster.cache_clear()
    slurm.is_cluster(accounting=False)
    off = found(cluster.check_accounting, tmp_path)

    assert levels(silent) == levels(off) == [Level.WARN]
    assert "this cluster keeps none" in off[0].found


def test_an_account_a_qos_and_a_limit_that_the_user_does_not_have_are_told(
    slurm: FakeSlurm, tmp_path: Path
) -> None:
    slurm.answer("sacctmgr", "proj42||normal,long|||gres/gpu=8|||||")
    sound = found(cluster.check_account, tmp_path, account="proj42", qos="long")
    wrong = found(cluster.check_account, tmp_path, account="proj7", qos="urgent")
    slurm.answer("sacctmgr", "proj42||normal||40||||||")
    many = found(cluster.check_account, tmp_path, max_submit=100)
    slurm.answer("sacctmgr")
    unknown = found(cluster.check_account, tmp_path)
    slurm.answer("sacctmgr", errors="sacctmgr: error: refused", code=1)
    silent = found(cluster.check_account, tmp_path)

    assert [one.found for one in sound] == ["account proj42: MaxTRES gres/gpu=8 (of one job)"]
    assert levels(wrong) == [Level.BAD, Level.BAD, Level.OK]
    assert (many[0].level, many[0].advice) == (Level.WARN, "write max_submit: 40")
    assert levels(unknown) == levels(silent) == [Level.WARN]


PROMISES: dict[str, dict[str, Any]] = {
    "nodes is 9 in the profile, and 4 there": {"nodes": 9},
    "cores_per_node is 65 in the profile, and 64 there": {"cores_per_node": 65},
    "mem_gb_per_node is 501 in the profile, and 500 there": {"mem_gb_per_node": 501},
    "gpus_per_node is 8 in the profile, and 4 there": {"gpus_per_node": 8},
    "time is 3d in the profile, and 2880m there": {"time": "3d"},
    "gpu_type is h100 in the profile, and there is a100, v100": {"gpu_type": "h100"},
}


@pytest.mark.usefixtures("slurm")
@pytest.mark.parametrize("words", PROMISES)
def test_a_profile_that_promises_more_than_there_is_is_bad(tmp_path: Path, words: str) -> None:
    (one,) = found(cluster.check_partitions, tmp_path, partitions={"gpu": PROMISES[words]})

    assert (one.level, one.found) == (Level.BAD, f"gpu: {words}")


def test_a_partition_that_is_not_there_or_out_of_service_is_told(
    slurm: FakeSlurm, tmp_path: Path
) -> None:
    (gone,) = found(cluster.check_partitions, tmp_path, partitions={"nono": {}})
    slurm.answer("sinfo", "cpu|down|12:00:00|2|32|128000|(null)|idle", SINFO[1])
    down = found(cluster.check_partitions, tmp_path, partitions={"cpu": {}, "gpu": {}})

    assert (gone.level, "it has gpu, cpu, long" in gone.found) == (Level.BAD, True)
    assert levels(down) == [Level.WARN, Level.WARN]
    assert down[1].found == "gpu has none of its 1 nodes in service"


def test_what_sbatch_would_refuse_is_bad(slurm: FakeSlurm, tmp_path: Path) -> None:
    slurm.answer("sbatch", errors="sbatch: error: Invalid account", code=1)

    assert levels(found(cluster.check_submission, tmp_path)) == [Level.BAD, Level.BAD]
    assert {call[0] for call in slurm.calls("sbatch")} == {"--test-only"}
