import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from orchestrator.cli.data import data
from orchestrator.errors import DataError

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.setenv("ORCHESTRATE_DATA", str(tmp_path / "data"))

    def run(*words: object) -> Result:
        result = CliRunner().invoke(data, [str(word) for word in words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for n, name in enumerate(["cat", "dog"]):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for m in range(4):
            Image.new("RGB", (6, 5), (n, m, 0)).save(tmp_path / "pets" / name / f"{m}.png")
    return tmp_path / "pets"


def test_the_digits_are_prepared_shown_and_verified(invoke: Invoke) -> None:
    assert "1347 train, 450 val images" in invoke("prepare", "digits").stdout

    shown = json.loads(invoke("inspect", "digits", "--json").stdout)
    assert (shown["schema"], shown["name"], sum(shown["counts"]["val"])) == (1, "digits", 450)
    assert shown["content_hash"] in invoke("verify", "digits").stdout
    table = invoke("inspect", "digits").stdout
    assert shown["layout_hash"] in table
    assert "train-00000.tar: 1347 images" in table


def test_preparing_the_digits_again_says_that_they_are_there(
    invoke: Invoke, tmp_path: Path
) -> None:
    invoke("prepare", "digits")
    before = (tmp_path / "data" / "digits").stat().st_ino

    again = invoke("prepare", "digits")

    assert again.exit_code == 0
    assert "there already, whole and equal" in again.stdout
    assert (tmp_path / "data" / "digits").stat().st_ino == before


def test_damaged_digits_are_not_taken_for_whole(invoke: Invoke, tmp_path: Path) -> None:
    invoke("prepare", "digits")
    os.truncate(tmp_path / "data" / "digits" / "val-00000.tar", 3)

    with pytest.raises(DataError, match="has 3 bytes"):
        invoke("prepare", "digits")
    with pytest.raises(DataError, match=r"1 fault\(s\):\n .*val-00000.tar has 3 bytes"):
        invoke("verify", "digits")


def test_a_folder_is_prepared_under_its_own_name_once(invoke: Invoke, pets: Path) -> None:
    made = invoke("prepare", "folder", "--source", pets, "--val-share", 0.25)

    assert "Dataset 'pets'" in made.stdout
    assert "6 train, 2 val images" in made.stdout
    with pytest.raises(DataError, match="another --name"):
        invoke("prepare", "folder", "--source", pets)
    with pytest.raises(DataError, match="it is not the digits"):
        invoke("prepare", "digits", "--name", "pets")


def test_unreadable_files_stop_a_preparation_unless_they_are_to_be_skipped(
    invoke: Invoke, pets: Path, tmp_path: Path
) -> None:
    (pets / "cat" / "[b]notes.txt").write_text("no image")

    with pytest.raises(DataError, match="--skip-unreadable"):
        invoke("prepare", "folder", "--source", pets)
    assert list((tmp_path / "data").iterdir()) == []
    assert (
        "1 unreadable" in invoke("prepare", "folder", "--source", pets, "--skip-unreadable").stdout
    )
    assert "[b]notes.txt: not an image" in invoke("inspect", "pets").stdout


def test_what_a_killed_preparation_left_is_pointed_out(
    invoke: Invoke, pets: Path, tmp_path: Path
) -> None:
    (tmp_path / "data" / ".tmp-pets-0123").mkdir(parents=True)

    assert ".tmp-pets-0123" in invoke("prepare", "folder", "--source", pets).stdout


@pytest.mark.parametrize(
    "words",
    [
        ("prepare", "folder", "--source", "/nowhere"),
        ("prepare", "folder"),
        ("prepare", "folder", "--source", ".", "--val-share", "1"),
        ("inspect",),
    ],
)
def test_a_wrong_use_ends_with_2(invoke: Invoke, words: tuple[str, ...]) -> None:
    assert invoke(*words).exit_code == 2


def test_every_verb_has_help(invoke: Invoke) -> None:
    for words in (
        [],
        ["prepare"],
        ["prepare", "digits"],
        ["prepare", "folder"],
        ["inspect"],
        ["verify"],
    ):
        assert "Usage:" in invoke(*words, "--help").stdout


def test_the_verbs_load_nothing_heavy_until_they_run() -> None:
    probe = "import sys, orchestrator.cli.data; print(sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )

    for heavy in ("torch", "numpy", "PIL", "webdataset", "sklearn", "rich"):
        assert f"'{heavy}'" not in loaded.stdout
