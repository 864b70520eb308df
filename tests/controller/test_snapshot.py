import resource
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from orchestrator.controller import snapshot
from orchestrator.controller.origin import Origin, read_origin
from orchestrator.controller.snapshot import check_code, take_snapshot
from orchestrator.errors import BusyError
from orchestrator.jobs.code import PACKAGES, hash_files, package_files
from orchestrator.jobs.layout import Root


def _package(folder: Path) -> ModuleSpec:
    spec = ModuleSpec(folder.name, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    return spec


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def test_a_snapshot_holds_the_packages_as_imported(root: Root) -> None:
    folder = root.snapshots / take_snapshot(root)

    copies = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    origin = copies.pop("origin.json")

    assert copies.keys() == package_files().keys()
    assert hash_files(copies.items()) == folder.name
    assert origin == root.origin(folder.name)


def test_a_snapshot_is_taken_once_and_edits_make_another(
    root: Root, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = tmp_path / "a.py"
    source.write_text("1")
    monkeypatch.setattr(snapshot, "package_files", lambda _: {"model/a.py": source})
    first, again = take_snapshot(root), take_snapshot(root)
    source.write_text("2")

    second = take_snapshot(root)

    assert first == again != second
    assert (root.snapshots / first / "model/a.py").read_text() == "1"
    assert (root.snapshots / second / "model/a.py").read_text() == "2"


def test_a_snapshot_says_where_it_came_from_when_it_was_taken_and_never_again(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, later = Origin(commit="0" * 40), Origin(commit="1" * 40)
    monkeypatch.setattr(snapshot, "find_origin", lambda _: first)
    name = take_snapshot(root)
    monkeypatch.setattr(snapshot, "find_origin", lambda _: later)

    assert take_snapshot(root) == name
    assert read_origin(root, name) == first


def test_a_file_that_is_a_link_is_copied_as_what_it_leads_to_and_a_broken_one_does_not_count(
    root: Root, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = tmp_path / "code"
    for package in PACKAGES:
        (code / package).mkdir(parents=True)
        (code / package / "__init__.py").touch()
    (tmp_path / "shared.py").write_text("shared = 1\n")
    (code / "model/linked.py").symlink_to(tmp_path / "shared.py")
    (code / "model/broken.py").symlink_to(tmp_path / "nothing.py")
    monkeypatch.setattr("orchestrator.jobs.code.find_spec", lambda name: _package(code / name))

    copy = root.snapshots / take_snapshot(root) / "model/linked.py"

    assert (copy.read_text(), copy.is_symlink()) == ("shared = 1\n", False)
    assert sorted(path.name for path in copy.parent.iterdir()) == ["__init__.py", "linked.py"]


def test_code_edited_while_it_is_copied_is_no_snapshot(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda copy, content: write(copy, content + b"#"))

    with pytest.raises(BusyError, match="edited while it was copied"):
        take_snapshot(root)
    assert list(root.snapshots.iterdir()) == []


def test_a_disk_that_takes_no_copy_is_told_by_the_copy_and_not_by_the_source(root: Root) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            take_snapshot(root)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert str(caught.value.filename).startswith(str(root.snapshots))


def test_what_was_checked_a_moment_ago_is_believed_of_the_same_sources_alone(
    root: Root, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = tmp_path / "a.py"
    source.write_text("1")
    monkeypatch.setattr(snapshot, "package_files", lambda _: {"model/a.py": source})
    monkeypatch.setattr(snapshot, "find_origin", lambda _: Origin(commit="0" * 40))
    checked = check_code(root)
    monkeypatch.setattr(snapshot, "find_origin", lambda _: Origin(commit="1" * 40))
    same = take_snapshot(root, checked=checked)
    source.write_text("2")
    edited = take_snapshot(root, checked=checked)

    assert read_origin(root, same).commit == "0" * 40
    assert read_origin(root, edited).commit == "1" * 40
