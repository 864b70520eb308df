import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model.config import ViTConfig
from orchestrator.config import Placement, Resources, RunConfig
from orchestrator.config.data import DataConfig
from orchestrator.controller.submit import Due, Terms, due_of_revision
from orchestrator.errors import OrchestrateError, RootError, SpecError
from orchestrator.jobs.datasets import Manifest
from orchestrator.jobs.identity import job_id
from orchestrator.jobs.layout import Root
from orchestrator.jobs.records import read_job, write_job
from orchestrator.jobs.store import (
    REVISION_SCHEMA,
    SCHEMA,
    bind_dataset,
    compare_dataset,
    create_root,
    launched_revision,
    newest_revision,
    open_root,
    write_revision,
)

Race = Callable[[Callable[[int], int], int], list[int]]

CONFIG = RunConfig(data=DataConfig(name="pets"), model=ViTConfig(registers=4))
OTHER = RunConfig(data=DataConfig(name="pets"), seed=7)


def manifest(content: str = "c" * 64, layout: str = "l" * 64) -> Manifest:
    return Manifest(
        name="pets",
        source="a test",
        split_rule="by hand",
        classes=[],
        channels=3,
        smallest=[1, 1],
        largest=[2, 2],
        counts={"train": [], "val": []},
        shards=[],
        left_out=[],
        content_hash=content,
        layout_hash=layout,
    )


def test_a_root_is_made_once_and_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "runs"
    first = create_root(path)
    record = first.record.read_bytes()

    assert create_root(path) == open_root(path) == first
    assert first.record.read_bytes() == record
    assert json.loads(record)["schema"] == SCHEMA


def test_two_who_make_a_root_agree_on_one(tmp_path: Path, race: Race) -> None:
    def work(i: int) -> int:
        root = create_root(tmp_path / "runs")
        (tmp_path / f"{i}").write_bytes(root.record.read_bytes())
        return 0

    assert race(work, 4) == [0] * 4
    assert len({(tmp_path / f"{i}").read_bytes() for i in range(4)}) == 1


def test_a_root_of_a_newer_version_is_refused_with_both_numbers(root: Root) -> None:
    root.record.write_text(json.dumps({"schema": SCHEMA + 4}))

    for verb in (open_root, create_root):
        with pytest.raises(RootError, match=rf"has version {SCHEMA + 4}; .* up to {SCHEMA}\."):
            verb(root.path)


@pytest.mark.parametrize("content", [b"", b"[1]", b"{}", b'{"schema": "1"}', b"\xff"])
def test_a_damaged_root_record_is_an_error_that_names_it(root: Root, content: bytes) -> None:
    root.record.write_bytes(content)

    with pytest.raises(RootError, match=r"root\.json is damaged: .*Restore it from a backup"):
        open_root(root.path)


def test_there_is_no_root_in_an_empty_place_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(RootError, match=f"no run root at {path}. Launch a sweep"):
            open_root(path)


def test_a_root_that_cannot_be_read_is_an_error(root: Root) -> None:
    root.record.unlink()
    root.record.mkdir()

    with pytest.raises(RootError, match="cannot be read: Is a directory"):
        open_root(root.path)


@pytest.mark.parametrize("where", ["file", "file/runs", "readonly"])
def test_a_root_that_cannot_be_written_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    (tmp_path / "file").touch()
    if where == "readonly":
        create_root(tmp_path / where)
        monkeypatch.setattr(os, "access", lambda *_: False)

    with pytest.raises(RootError, match=f"{where} cannot be written: .* Choose another .*--root"):
        create_root(tmp_path / where)


def test_a_job_is_written_once_and_read_back(root: Root) -> None:
    job = job_id(CONFIG)
    write_job(root, job, CONFIG)
    content = root.job(job).record.read_bytes()
    write_job(root, job, CONFIG)

    assert root.job(job).record.read_bytes() == content
    assert read_job(root, job) == CONFIG
    assert [*root.job_folders()] == [job]


def test_another_configuration_under_the_id_of_a_job_is_refused(root: Root) -> None:
    job = job_id(CONFIG)
    write_job(root, job, CONFIG)

    with pytest.raises(OrchestrateError, match=rf"another configuration than job {job}"):
        write_job(root, job, OTHER)
    assert read_job(root, job) == CONFIG


@pytest.mark.parametrize(
    "content", [None, b"", b"{}", b"[]", b'{"reduced": []}', b'{"reduced": {"model.wings": 2}}']
)
def test_a_job_that_cannot_be_read_is_an_error_that_names_it(
    root: Root, content: bytes | None
) -> None:
    job = job_id(CONFIG)
    if content is not None:
        write_job(root, job, CONFIG)
        root.job(job).record.write_bytes(content)

    with pytest.raises(OrchestrateError, match=rf"{job}/job\.json"):
        read_job(root, job)


def test_a_dataset_is_bound_to_its_content_by_the_first_who_uses_it(root: Root) -> None:
    assert compare_dataset(root, manifest()) is None
    assert bind_dataset(root, manifest()) is None
    assert bind_dataset(root, manifest()) is None
    assert compare_dataset(root, manifest()) is None


def test_another_content_under_the_name_is_refused_naming_both(root: Root) -> None:
    bind_dataset(root, manifest())

    for use in (bind_dataset, compare_dataset):
        with pytest.raises(
            OrchestrateError, match=r"'pets' has content dddddddddddd, .* cccccccccccc"
        ):
            use(root, manifest(content="d" * 64))
    assert compare_dataset(root, manifest()) is None


def test_another_layout_is_a_warning_naming_both(root: Root) -> None:
    bind_dataset(root, manifest())

    for use in (bind_dataset, compare_dataset):
        warning = use(root, manifest(layout="m" * 64))
        assert warning
        assert "mmmmmmmmmmmm, was llllllllllll" in warning
        assert "mixed data" in warning


@pytest.mark.parametrize("content", [b"", b"{}"])
def test_a_damaged_dataset_record_is_an_error_that_names_it(root: Root, content: bytes) -> None:
    bind_dataset(root, manifest())
    root.dataset("pets").write_bytes(content)

    with pytest.raises(RootError, match=r"pets\.json is damaged"):
        compare_dataset(root, manifest())


def revision(*jobs: str, **more: Any) -> dict[str, Any]:
    return {"jobs": list(jobs), **more}


def test_the_same_sweep_again_is_no_new_revision(root: Root) -> None:
    assert write_revision(root, "gates", revision("a", axes=(1, 2))) == 1
    assert write_revision(root, "gates", revision("a", axes=[1, 2])) == 1
    assert len(list(root.sweep("gates").iterdir())) == 1


def test_a_changed_sweep_is_the_next_revision_and_so_is_its_return(root: Root) -> None:
    contents = [revision("a"), revision("b"), revision("a")]

    assert [write_revision(root, "gates", one) for one in contents] == [1, 2, 3]
    assert newest_revision(root, "gates") == (3, revision("a"))


def test_revisions_are_counted_beyond_999_and_other_files_are_none(root: Root) -> None:
    folder = root.sweep("gates")
    folder.mkdir(parents=True)
    for name in ("999.json", "1000.json", "1 copy.json", ".tmp-2000.json-01", "notes.json"):
        (folder / name).write_text(json.dumps(revision(name)))

    assert newest_revision(root, "gates") == (1000, revision("1000.json"))
    assert write_revision(root, "gates", revision("new")) == 1001


def test_a_revision_of_schema_1_is_read_with_no_cluster_and_nothing_asked_of_one(
    root: Root,
) -> None:
    job = {"id": "a", "name": "lr=1", "axes": {}, "placement": Placement(ranks=2).to_plain()}
    old = {"executor": "local", "max_parallel": 3, "data_root": "/data", "snapshot": "c0de"}
    write_revision(root, "gates", {"schema": 1, **old, "jobs": [job]})

    found = launched_revision(root, "gates")

    assert due_of_revision(found) == [Due("a", "lr=1", Placement(ranks=2), Resources(), None)]
    assert Terms.of_revision(found) == Terms("local", 3, Path("/data"))


def test_a_revision_of_a_newer_schema_is_refused_with_both_numbers(root: Root) -> None:
    newer, known = REVISION_SCHEMA + 1, REVISION_SCHEMA
    write_revision(root, "gates", revision("a", schema=newer))

    for use in (launched_revision, newest_revision):
        with pytest.raises(RootError, match=rf"001\.json has version {newer}; .* up to {known}\."):
            use(root, "gates")


def test_launched_sweeps_are_known_by_name_and_an_unknown_one_is_answered_with_them(
    root: Root,
) -> None:
    for name in ("gates", "depth"):
        write_revision(root, name, revision(name))

    assert root.sweep_names() == ["depth", "gates"]
    assert launched_revision(root, "gates") == revision("gates")
    with pytest.raises(SpecError, match=r"No sweep 'gate' .* Sweeps there: depth, gates"):
        launched_revision(root, "gate")
