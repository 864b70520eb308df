"""What of a root is shown in MLflow, and where."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from orchestrator.controller import sync, ui
from orchestrator.controller.outline import arms_of, outlines_of, varied
from orchestrator.controller.sync import locate_store, store_in_use, sync_sweeps
from orchestrator.errors import SpecError, StoreError
from orchestrator.jobs.layout import Root
from orchestrator.jobs.store import create_root, write_revision
from orchestrator.mirror.sync import without_password


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return create_root(tmp_path / "runs")


def form(**settings: Any) -> dict[str, Any]:
    """A configuration's reduced form."""
    keys = {"k": "model.registers", "gate": "model.gate.position", "seed": "seed"}
    return {keys[name]: value for name, value in settings.items()}


def test_keys_that_differ_are_axes_and_those_below_a_null_section_are_not_everywhere() -> None:
    forms = [form(), form(k=4), form(gate="sdpa", seed=1), form(gate="sdpa", k=4)]

    assert varied(forms) == {"model.gate.position": False, "model.registers": True, "seed": True}
    assert varied([form(k=4), form(k=4)]) == {}


def test_jobs_that_look_at_others_take_no_axis_from_those_that_train() -> None:
    looking = [
        {"task": "evaluate", "of": f"{n}", "data.name": f"{name}", "checkpoint": "last"}
        for n in range(2)
        for name in ("hard", "moved")
    ]
    told = varied([form(k=0), form(k=4), *looking])

    assert told.pop("model.registers") is True
    assert told == {"checkpoint": False, "data.name": False, "task": False}


def test_jobs_that_differ_only_in_their_seed_are_one_arm() -> None:
    forms = {"a": form(k=4, seed=1), "b": form(), "c": form(k=4, seed=2)}

    assert arms_of(forms) == {"a": 0, "b": 1, "c": 0}


def test_a_sweep_stands_for_its_study_and_brings_the_others_of_it(root: Root) -> None:
    for name, study in (("s1", "one"), ("s2", "one"), ("s3", "two")):
        content = {"schema": 2, "name": name, "study": study, "question": f"{name}?", "jobs": []}
        write_revision(root, name, content)

    (outline,) = outlines_of(root, ["s1"])
    assert outline.study == "one"
    assert outline.note == "**s1** (0 jobs): s1?\n\n**s2** (0 jobs): s2?"
    assert [outline.study for outline in outlines_of(root, [])] == ["one", "two"]
    assert [outline.study for outline in outlines_of(root, ["two"])] == ["two"]
    with pytest.raises(SpecError, match=r"'four'.*There are: one, s1, s2, s3, two"):
        outlines_of(root, ["one", "four"])


def test_the_store_is_the_named_one_or_a_file_of_the_root(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = f"sqlite:///{root.path}/mlflow/mlflow.db"
    assert store_in_use(root) is None
    assert locate_store(root) == own
    assert not (root.path / "mlflow").exists()
    (root.path / "mlflow").mkdir()
    (root.path / "mlflow" / "mlflow.db").touch()
    assert store_in_use(root) == own
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://far")

    assert store_in_use(root) == locate_store(root) == "http://far"
    assert locate_store(root, "http://asked") == "http://asked"


def test_on_a_network_file_system_the_file_is_on_this_machines_own_disk(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "file_system", lambda path: "nfs4")
    assert locate_store(root).startswith(
        f"sqlite:////var/tmp/orchestrate-{os.getuid()}/{root.id()}-"
    )
    monkeypatch.setattr(sync, "_own_disk", lambda: root.path.parent / "disk")
    uri = locate_store(root)
    sync_sweeps(root, (), uri)

    folder = Path(uri.removeprefix("sqlite:///")).parent
    assert [path.stat().st_mode & 0o077 for path in (folder, folder.parent)] == [0, 0]
    folder.parent.rename(root.path.parent / "elsewhere")
    folder.parent.symlink_to(root.path.parent / "elsewhere")
    with pytest.raises(StoreError, match="is another user's"):
        sync_sweeps(root, (), uri)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://me:secret@far:5000/mlflow", "http://far:5000/mlflow"),
        ("postgresql://me@far/db", "postgresql://far/db"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
    ],
)
def test_a_password_in_a_uri_is_not_shown(uri: str, shown: str) -> None:
    assert without_password(uri) == shown


def test_a_machine_is_shared_over_ssh_beside_slurm_or_with_other_people_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(ui, "uids_here", lambda: {0, os.getuid(), 65534})
    assert not ui.is_shared_machine()
    monkeypatch.setattr(ui, "uids_here", lambda: {0, 1234})
    assert ui.is_shared_machine()
    monkeypatch.setattr(ui, "uids_here", set)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert ui.is_shared_machine()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setenv("SSH_CONNECTION", "from afar")
    assert ui.is_shared_machine()
