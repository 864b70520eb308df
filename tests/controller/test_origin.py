import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.controller import origin
from orchestrator.controller.origin import Origin, find_origin, read_origin
from orchestrator.jobs.code import hash_files
from orchestrator.jobs.files import read_record, to_json
from orchestrator.jobs.layout import Root

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
ME = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
WHO = ("-c", "user.name=me", "-c", "user.email=me@host")
CODE = {
    "orchestrator/__init__.py": "",
    "orchestrator/errors.py": "a = 1\nb = 2\n",
    "orchestrator/worker/main.py": "old = 1\n",
    "model/vit.py": "x\n" * 50,
    "model/py.typed": "",
}


@pytest.fixture(autouse=True)
def _nobodys_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ME.items():
        monkeypatch.setenv(name, value)


def git(folder: Path, *words: str) -> str:
    run = ["git", *WHO, "-C", str(folder), *words]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def files_in(folder: Path) -> dict[str, Path]:
    paths = [p for p in folder.glob("*/**/*") if p.suffix in (".py", ".typed")]
    named = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: path for name, path in named.items() if name.startswith(("model/", "orch"))}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Our packages in a folder of a larger repository, as committed."""
    folder = tmp_path / "lab" / "tool"
    write(folder, {**CODE, "README.md": "read\n", "model/notes.txt": "notes\n"})
    git(tmp_path, "init", "-q", "lab")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "all of it")
    return folder


def test_unchanged_code_is_its_commit_whatever_lies_beside_it(checkout: Path) -> None:
    write(checkout, {"README.md": "changed", "model/notes.txt": "changed", "sweep.py": "new"})

    found = find_origin(files_in(checkout))

    assert found == Origin(folder=str(checkout), commit=git(checkout, "rev-parse", "HEAD"))
    assert not found.changed
    assert str(found) == f"commit {found.commit:.12}"


def test_the_commit_and_the_difference_give_the_very_code(checkout: Path, tmp_path: Path) -> None:
    write(checkout, {"orchestrator/errors.py": "a = 1\nb = 3", "model/gates/new.py": "y\n"})
    write(checkout, {".gitignore": "hidden.py\n", "model/hidden.py": "one\ntwo", "model/no.py": ""})
    (checkout / "model/vit.py").write_bytes(b"x\r\n\x0c\xe9\0\n" + b"x\n" * 48)
    (checkout / "model/odd.py").write_bytes(b"# \xe9\x85 \x0c\r\n\ny\r")
    (checkout / "orchestrator/worker/main.py").unlink()
    git(checkout, "add", "model/gates/new.py")

    found = find_origin(files_in(checkout))

    assert found.changed
    assert str(found) == f"commit {found.commit:.12} with changes"
    git(tmp_path, "clone", "-q", "lab", "clean")
    clean = tmp_path / "clean" / "tool"
    (clean / "diff").write_bytes(found.diff.encode(errors="surrogateescape"))
    git(clean.parent, "apply", "--whitespace=nowarn", "--directory=tool", "tool/diff")
    assert hash_files(files_in(clean).items()) == hash_files(files_in(checkout).items())


def test_a_users_taste_in_differences_does_not_count(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(checkout, {"model/vit.py": "z\n", "model/gates/a.py": "new\n"})
    plain = find_origin(files_in(checkout)).diff
    taste = "[diff]\nexternal = false\nnoprefix = true\n[color]\nui = always\n"
    write(tmp_path, {"config": taste})
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")

    assert find_origin(files_in(checkout)).diff == plain
    assert plain.count("\ndiff --git a/") == 1


def test_a_launch_from_a_hook_of_another_repository_asks_the_packages_own(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other" / ".git" / "index"))

    found = find_origin(files_in(checkout))

    monkeypatch.undo()
    assert found.commit == git(checkout, "rev-parse", "HEAD")
    assert not found.changed


def test_a_file_that_was_only_touched_is_not_changed_and_asking_writes_nothing(
    checkout: Path,
) -> None:
    folder = checkout.parent / ".git"
    os.utime(checkout / "model/vit.py", (1, 1))
    before = [(path, path.lstat().st_mtime_ns) for path in sorted(folder.rglob("*"))]

    found = find_origin(files_in(checkout))

    assert not found.changed
    assert [(path, path.lstat().st_mtime_ns) for path in sorted(folder.rglob("*"))] == before


def test_a_difference_beyond_the_limit_is_cut_and_says_so(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(checkout, {"model/vit.py": "z\n" * 500})
    whole = find_origin(files_in(checkout)).diff
    monkeypatch.setattr(origin, "DIFF_LIMIT", 100)

    found = find_origin(files_in(checkout))

    assert (found.diff, found.left_out) == (whole[:100], len(whole) - 100)
    assert found.changed


def no_repository(checkout: Path, _: pytest.MonkeyPatch) -> None:
    shutil.rmtree(checkout.parent / ".git")


def no_commit_yet(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_repository(checkout, monkeypatch)
    git(checkout.parent, "init", "-q")


def installed_inside_a_users_own_repository(checkout: Path, _: pytest.MonkeyPatch) -> None:
    git(checkout, "rm", "-rq", "--cached", ".")
    git(checkout, "commit", "-q", "-m", "its .venv is not part of it")


def no_git(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")


def a_git_that_hangs(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = checkout.parent / "bin" / "git"
    write(checkout.parent, {"bin/git": "#!/bin/sh\nsleep 60 &\nwait\n"})
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(origin, "PATIENCE_S", 0.2)


def somebody_elses(checkout: Path, _: pytest.MonkeyPatch) -> None:
    if os.getuid() != 0:
        pytest.skip("only root may give a folder away")
    for path in (checkout.parent, *checkout.parent.rglob("*")):
        os.chown(path, 4711, 4711)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (no_repository, "not a git repository"),
        (no_commit_yet, "git rev-parse ended with 128"),
        (installed_inside_a_users_own_repository, "the repository around .* does not have them"),
        (no_git, "git cannot be run: No such file"),
        (a_git_that_hangs, "git did not answer within"),
        (somebody_elses, "detected dubious ownership"),
    ],
)
def test_where_git_does_not_tell_the_origin_says_why(
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: Callable[[Path, pytest.MonkeyPatch], None],
    why: str,
) -> None:
    how(checkout, monkeypatch)

    found = find_origin(files_in(checkout))

    assert re.search(why, found.why)
    assert (found.commit, found.version, found.changed) == (None, None, False)
    assert str(found) == "code of no known commit"


def test_an_installed_package_is_known_by_its_version_and_a_copy_elsewhere_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"orchestrate_vit-9.9.dist-info/METADATA": "Name: orchestrate-vit\nVersion: 9.9\n"}
    write(tmp_path / "site", {**CODE, **told})
    write(tmp_path / "copy", CODE)
    monkeypatch.syspath_prepend(tmp_path / "site")

    installed, copy = (find_origin(files_in(tmp_path / name)) for name in ("site", "copy"))

    assert (installed.version, str(installed)) == ("9.9", "version 9.9")
    assert copy.version is None


def test_packages_from_two_folders_have_no_one_origin(tmp_path: Path) -> None:
    write(tmp_path / "a", CODE)
    write(tmp_path / "b", CODE)
    mixed = files_in(tmp_path / "a") | {"model/vit.py": tmp_path / "b" / "model/vit.py"}

    assert find_origin(mixed) == Origin(why="the packages are imported from several folders")


def test_a_record_is_read_as_written_and_an_older_snapshot_has_none(
    checkout: Path, tmp_path: Path
) -> None:
    root = Root(tmp_path / "runs")
    (checkout / "model/odd.py").write_bytes(b"# \xe9\n")
    found = find_origin(files_in(checkout))
    for name in ("0123", "4567"):
        (root.snapshots / name).mkdir(parents=True)
    root.origin("0123").write_bytes(to_json(found.to_plain()))

    assert read_origin(root, "0123") == found
    assert read_origin(root, "4567") is None
    assert read_record(root.origin("0123"))["changed"] is True


def test_a_users_package_has_an_origin_of_its_own(checkout: Path, tmp_path: Path) -> None:
    root, lab = Root(tmp_path / "runs"), tmp_path / "mylab"
    write(lab, {"mine/a.py": "a\n", "beside.py": "b\n"})
    git(tmp_path, "init", "-q", "mylab")
    git(lab, "add", ".")
    git(lab, "commit", "-q", "-m", "mine")
    write(lab, {"mine/a.py": "c\n", "beside.py": "d\n"})

    found = find_origin(files_in(checkout) | {"mine/a.py": lab / "mine/a.py"})

    mine = found.own["mine"]
    ours, theirs = git(checkout, "rev-parse", "HEAD"), git(lab, "rev-parse", "HEAD")
    assert str(found) == f"commit {ours:.12}, mine: commit {theirs:.12} with changes"
    assert (found.diff, mine.folder) == ("", str(lab))
    assert re.findall(r"^diff.*", mine.diff, re.MULTILINE) == ["diff --git a/mine/a.py b/mine/a.py"]
    (root.snapshots / "0123").mkdir(parents=True)
    root.origin("0123").write_bytes(to_json(found.to_plain()))
    assert read_origin(root, "0123") == found
