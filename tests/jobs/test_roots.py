"""Roots live for years: what any older version wrote is read, what a newer one wrote is refused.

``roots/schema-N`` were recorded by the program of that time (``tests/support/record_root.py``), and
differ in the versions of their records; all hold the same four jobs.
"""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import cli
from orchestrator.errors import OrchestrateError
from orchestrator.jobs import archive, identity, journal, orders, records, store, submissions
from orchestrator.jobs.datasets import Manifest
from orchestrator.jobs.layout import Root
from orchestrator.jobs.settled import SCHEMA as CACHE_SCHEMA
from orchestrator.jobs.weights import saved_in
from orchestrator.worker import checkpoint

ROOTS = Path(__file__).with_name("roots")
RECORDED = sorted(path.name for path in ROOTS.glob("schema-*"))
EXPORTED = sorted(path.name for path in ROOTS.glob("exported-*.tar.gz"))
STATES = {
    "done": ("DONE", "finished", 2, 6, ""),
    "preempted": ("PREEMPTED", None, 73, 220, "stopped by a signal"),
    "killed": ("FAILED", None, 73, 220, "killed with signal 9: out of memory, or by hand"),
    "cancelled": ("CANCELLED", None, 73, 220, "by ann"),
}
TOP1 = 10.222222222222223
KINDS = {
    "root": ("root.json", "schema", store.SCHEMA),
    "dataset": ("datasets/*.json", "schema", store.SCHEMA),
    "revision": ("sweeps/*/[0-9]*.json", "schema", store.REVISION_SCHEMA),
    "job": ("jobs/*/*/job.json", "schema", records.SCHEMA),
    "identity": ("jobs/*/*/job.json", "identity_version", identity.IDENTITY_VERSION),
    "intent": ("submissions/*/intent.json", "schema_version", submissions.SCHEMA),
    "ends": ("submissions/*/outcomes-*.json", "schema", submissions.SCHEMA),
    "order": ("orders/*.json", "schema_version", orders.SCHEMA),
    "journal": ("jobs/*/*/attempts/*/journal.jsonl", "schema", journal.SCHEMA),
    "checkpoint": ("jobs/*/*/checkpoints/*/meta.json", "schema", checkpoint.SCHEMA),
}
"""By kind of record: which files, the key of the version, today's."""


def copied(name: str, tmp_path: Path) -> Root:
    root = Root(tmp_path / "runs")
    shutil.copytree(ROOTS / name, root.path)
    for path in root.path.rglob("*"):
        os.utime(path, (1e9, 1e9))  # a copy's files are young, as no heartbeat in it is
    return root


def imported(name: str, tmp_path: Path) -> Root:
    root = Root(tmp_path / "runs")
    said(root, "import", str(ROOTS / name))
    return root


def going_on(root: Root) -> str:
    """The job of which a checkpoint is kept."""
    (meta,) = root.path.glob("jobs/*/*/checkpoints/*/meta.json")
    return meta.parents[2].name


def said(root: Root, *words: str) -> str:
    done = CliRunner().invoke(cli, [*words, "--root", str(root.path)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(params=[*RECORDED, *EXPORTED])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Root:
    """A root as it was left years ago, or came from one."""
    if request.param in EXPORTED:
        return imported(request.param, tmp_path)
    return copied(request.param, tmp_path)


def test_every_reading_verb_reads_what_every_older_version_wrote(old: Root) -> None:
    rows = json.loads(said(old, "status", "s", "--json"))["jobs"]
    results = json.loads(said(old, "results", "s", "--json"))
    failures = json.loads(said(old, "failures", "s", "--json"))

    told = {
        r["name"]: tuple(r[k] for k in ("state", "outcome", "epoch", "step", "reason"))
        for r in rows
    }
    assert told == STATES
    assert {row["case"]: row["mean"] for row in results["rows"]} == {
        **dict.fromkeys(STATES),
        "done": TOP1,
    }
    assert results["notes"] == []
    assert [(g["kind"], g["count"], g["example"]["name"]) for g in failures["groups"]] == [
        ("killed", 1, "killed")
    ]
    for name, (state, *_, reason) in STATES.items():
        assert f"is {state}" in said(old, "why", f"s/{name}")
        assert reason in said(old, "why", f"s/{name}")
        assert said(old, "logs", f"s/{name}") == ""


def test_a_search_of_an_older_version_is_read_and_its_decision_stands(tmp_path: Path) -> None:
    root = copied("schema-6", tmp_path)

    rows = json.loads(said(root, "status", "f", "--json"))["jobs"]
    (row,) = json.loads(said(root, "results", "f", "--by", "seed", "--json"))["rows"]

    assert [(one["state"], one["rung"]) for one in rows] == [("DONE", None), ("STOPPED", 3)]
    assert "rung 3 (epoch 4) of f: val/loss" in rows[1]["reason"]
    assert (row["n"], row["stopped"]) == (1, 1)
    assert "1 DONE, 1 STOPPED" in said(root, "watch", "f", "--once")


def test_evaluations_of_an_older_version_are_read(tmp_path: Path) -> None:
    root = copied("schema-4", tmp_path)
    rows = json.loads(said(root, "status", "e", "--json"))["jobs"]
    (row,) = json.loads(said(root, "results", "e", "--by", "case", "--json"))["rows"][:1]

    assert {row["name"]: (row["state"], row["reason"]) for row in rows} == {
        "done,digits": ("DONE", ""),
        "preempted,digits": ("PLANNED", "waits for parent s/preempted (PREEMPTED)"),
        "killed,digits": ("PLANNED", "waits for parent s/killed (FAILED)"),
        "cancelled,digits": ("PLANNED", "waits for parent s/cancelled (CANCELLED)"),
    }
    assert (row["case"], row["mean"]) == ("done", TOP1)


def test_what_was_saved_by_an_older_version_is_gone_on_from() -> None:
    for name in RECORDED:
        job = Root(ROOTS / name).job(going_on(Root(ROOTS / name)))
        newest, state = saved_in(job.checkpoints)[-1], checkpoint.load_newest(job)

        assert state is not None
        assert newest.step == state["step"]


def versions(name: str, pattern: str, key: str) -> set[int]:
    """Of this kind of record in a recorded root; the first line of a journal is its record."""
    texts = (path.read_text() for path in (ROOTS / name).glob(pattern))
    first = (text.partition("\n")[0] if text.startswith('{"') else text for text in texts)
    return {json.loads(text)[key] for text in first}


@pytest.mark.parametrize("kind", KINDS)
def test_every_version_that_this_program_reads_is_among_the_recorded_roots(kind: str) -> None:
    """Whoever raises a version records a root with it, and keeps those that are there."""
    pattern, key, today = KINDS[kind]
    found = set().union(*(versions(name, pattern, key) for name in RECORDED))

    assert found == set(range(1, today + 1))


def test_an_archive_of_every_version_is_kept() -> None:
    found = {int(re.findall(r"\d+", name)[0]) for name in EXPORTED}

    assert found == set(range(1, archive.SCHEMA + 1))


def raised(text: str, key: str, to: int) -> str:
    """The record with a version of its own; the first of its kind in it is its own."""
    return re.sub(rf'("{key}": )\d+', rf"\g<1>{to}", text, count=1)


READERS: dict[str, Callable[[Root, str], Any]] = {
    "checkpoint": lambda root, job: checkpoint.load_newest(root.job(job)),
    "dataset": lambda root, _: store.compare_dataset(root, digits()),
    "job": records.read_job,
    "identity": records.read_job,
}


def digits() -> Manifest:
    more = {"classes": [], "channels": 1, "smallest": [8, 8], "largest": [8, 8], "shards": []}
    more |= {"left_out": [], "content_hash": "c", "layout_hash": "l", "counts": {}}
    told = {"name": "digits", "source": "", "split_rule": "", **more}
    return Manifest.model_validate({**told, "counts": {"train": [], "val": []}})


@pytest.mark.parametrize("kind", KINDS)
def test_a_newer_version_of_any_record_is_refused_with_both_numbers(
    tmp_path: Path, kind: str
) -> None:
    root, (pattern, key, today) = copied(RECORDED[-1], tmp_path), KINDS[kind]
    for path in root.path.glob(pattern):
        path.write_text(raised(path.read_text(), key, today + 3))
    read = READERS.get(kind, lambda root, _: said(root, "status", "s"))

    with pytest.raises(OrchestrateError) as refusal:
        read(root, going_on(root))
    assert re.search(
        rf"version {today + 3}; this program reads up to {today}\.", str(refusal.value)
    )
    assert "Use the newer program" in str(refusal.value)


def test_an_order_of_a_kind_that_came_later_is_not_obeyed_and_a_cache_of_another_version_not_read(
    tmp_path: Path,
) -> None:
    root = copied(RECORDED[-1], tmp_path)
    later = {"what": "paint", "schema_version": orders.SCHEMA + 1, "jobs": [], "colour": "blue"}
    (root.orders / "999999999999999-ab.json").write_text(json.dumps(later))
    root.settled.parent.mkdir()
    root.settled.write_text(f"{CACHE_SCHEMA + 1} abc\n{{}}")
    rows = json.loads(said(root, "status", "s", "--json"))["jobs"]

    assert {row["name"]: row["state"] for row in rows} == {n: one[0] for n, one in STATES.items()}
