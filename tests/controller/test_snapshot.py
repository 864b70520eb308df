import shutil
from pathlib import Path

import pytest

from orchestrator.controller import snapshot
from orchestrator.controller.snapshot import take_snapshot
from orchestrator.errors import BusyError
from orchestrator.jobs.code import hash_files, package_files
from orchestrator.jobs.layout import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def test_a_snapshot_holds_the_packages_as_imported(root: Root) -> None:
    folder = root.snapshots / take_snapshot(root)

    copies = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}

    assert copies.keys() == package_files().keys()
    assert hash_files(copies.items()) == folder.name


def test_a_snapshot_is_taken_once_and_edits_make_another(
    root: Root, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = tmp_path / "a.py"
    source.write_text("1")
    monkeypatch.setattr(snapshot, "package_files", lambda: {"model/a.py": source})
    first, again = take_snapshot(root), take_snapshot(root)
    source.write_text("2")

    second = take_snapshot(root)

    assert first == again != second
    assert (root.snapshots / first / "model/a.py").read_text() == "1"
    assert (root.snapshots / second / "model/a.py").read_text() == "2"


def test_code_edited_while_it_is_copied_is_no_snapshot(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edited(source: Path, copy: Path) -> None:
        copy.write_bytes(source.read_bytes() + b"#")

    monkeypatch.setattr(shutil, "copyfile", edited)

    with pytest.raises(BusyError, match="edited while it was copied"):
        take_snapshot(root)
    assert list(root.snapshots.iterdir()) == []
