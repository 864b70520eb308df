import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.errors import SpecError
from orchestrator.jobs.code import (
    code_hash,
    code_here,
    hash_files,
    is_older,
    package_files,
    todays_codes,
)

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("code")
    for name, source in package_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / name)
    return folder


def hash_there(folder: Path) -> str:
    """The hash as a process that imports from ``folder`` has it."""
    run = subprocess.run(
        [
            *(sys.executable, "-P", "-c"),
            "from orchestrator.jobs.code import code_hash; print(code_hash())",
        ],
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip()


def test_a_copy_elsewhere_has_the_hash_of_the_original(copies: Path) -> None:
    assert hash_there(copies) == hash_there(CHECKOUT)


@pytest.mark.parametrize(
    ("file", "decides"),
    [
        ("model/vit.py", True),
        ("model/attention/gates.py", True),
        ("orchestrator/worker/engine.py", True),
        ("orchestrator/worker/data/order.py", True),
        ("model/brand_new.py", True),
        ("orchestrator/cli/main.py", False),
        ("orchestrator/jobs/journal.py", False),
        ("model/notes.txt", False),
    ],
)
def test_the_hash_changes_with_the_files_that_decide_results_only(
    copies: Path, file: str, *, decides: bool
) -> None:
    path, before = copies / file, hash_there(copies)
    old = path.read_bytes() if path.exists() else None
    path.write_bytes((old or b"") + b"\n# edited\n")

    after = hash_there(copies)

    assert (after != before) is decides
    path.unlink() if old is None else path.write_bytes(old)


def test_names_and_borders_of_files_count_and_their_order_does_not(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"one")
    b.write_bytes(b"two")

    whole = hash_files([("a", a), ("b", b)])

    assert hash_files([("b", b), ("a", a)]) == whole
    assert hash_files([("a", b), ("b", a)]) != whole
    a.write_bytes(b"onetwo")
    b.write_bytes(b"")
    assert hash_files([("a", a), ("b", b)]) != whole


def test_both_packages_are_found_as_source_files_only() -> None:
    names = set(package_files())

    assert {"model/config.py", "orchestrator/errors.py", "orchestrator/worker/main.py"} <= names
    assert all(name.endswith((".py", ".typed")) for name in names)
    assert len(code_hash()) == 16


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    (folder / "sub").mkdir(parents=True)
    for name in ("__init__.py", "sub/a.py", "notes.txt", ".hidden.py"):
        (folder / name).write_text(f"# {name}\n")
    return folder


def test_a_users_package_is_told_by_its_own_name_beside_ours(mine: Path) -> None:
    files = package_files({"mine": mine})

    assert files.keys() - package_files().keys() == {"mine/__init__.py", "mine/sub/a.py"}
    assert files["mine/sub/a.py"] == mine / "sub/a.py"


def test_a_users_package_that_is_gone_is_refused_by_its_folder(mine: Path) -> None:
    (mine / "__init__.py").unlink()

    with pytest.raises(SpecError, match=rf"package mine is not at {mine} any more"):
        package_files({"mine": mine})


def test_code_of_a_users_package_is_of_ours_and_of_its_files_wherever_they_lie(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(mine, tmp_path / "snapshot" / "mine")
    monkeypatch.syspath_prepend(tmp_path / "snapshot")

    told = code_here("mine")

    assert told == todays_codes({"mine": mine})["mine"]
    assert told.split("-")[0] == code_hash() == code_here("") == code_here("nowhere")
    (mine / "notes.txt").write_text("edited")
    assert told == todays_codes({"mine": mine})["mine"]
    (mine / "sub/a.py").write_text("edited")
    assert told != todays_codes({"mine": mine})["mine"]
    assert todays_codes({"mine": tmp_path / "gone"}) == {"": code_hash()}
    assert "mine" not in sys.modules


TODAY = {"": "a0", "mine": "a0-b0"}


@pytest.mark.parametrize(
    ("codes", "package", "older"),
    [
        ([], "", False),
        (["a0"], "", False),
        (["a1"], "", True),
        (["a0", "a1"], "", True),
        (["a0-b0"], "mine", False),
        (["a0-b1"], "mine", True),
        (["a1-b0"], "mine", True),
        (["a0"], "mine", True),
        (["a0-c0"], "gone", False),
        (["a1-c0"], "gone", True),
    ],
)
def test_code_is_older_by_what_is_known_of_today(
    codes: list[str], package: str, *, older: bool
) -> None:
    assert is_older(codes, package, TODAY) is older
