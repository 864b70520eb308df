import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image
from support.photos import imagenet_folder, photo

from orchestrator.cli.main import cli
from orchestrator.errors import DataError, SpecError
from orchestrator.jobs.datasets import lines_sha256
from orchestrator.worker.data.label_spaces import IMAGENET100_KAGGLE, IMAGENET_A, IMAGENET_R
from orchestrator.worker.data.samples import About, Sample
from orchestrator.worker.data.shards import write_dataset

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.setenv("ORCHESTRATE_DATA", str(tmp_path / "data"))

    def run(*words: object) -> Result:
        result = CliRunner().invoke(cli, ["data", *map(str, words)])
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
    with pytest.raises(DataError, match="it is not these digits"):
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


def test_imagenet100_is_prepared_by_its_class_list(invoke: Invoke, tmp_path: Path) -> None:
    usual = imagenet_folder(tmp_path / "in", (*IMAGENET100_KAGGLE, "n99999999"), (1, 1), (9, 8))
    words = ("prepare", "imagenet100", "--source", usual, "--classes")

    with pytest.raises(DataError, match=r"100 train images, not 130,000.*--any-counts"):
        invoke(*words, "kaggle")
    with pytest.raises(DataError, match="92 of the 100 classes have no folder"):
        invoke(*words, "cmc", "--any-counts")
    made = invoke(*words, "kaggle", "--any-counts", "--processes", 1).stdout

    assert "100 classes, 100 train, 100 val images" in made
    assert "1 class(es) with 2 image(s) are not of imagenet100_kaggle" in made
    table = invoke("inspect", "imagenet100").stdout
    assert "label space   imagenet100_kaggle" in table
    assert f"classes hash  {lines_sha256(IMAGENET100_KAGGLE)}" in table
    assert "passed over   1 other class(es), 2 image(s)" in table
    assert "is sound" in invoke("verify", "imagenet100", "--decode", "--processes", 1).stdout


@pytest.mark.parametrize(
    ("name", "wnids"), [("imagenet_a", IMAGENET_A), ("imagenet_r", IMAGENET_R)]
)
def test_sets_for_evaluation_are_prepared_from_their_archives(
    invoke: Invoke, tmp_path: Path, name: str, wnids: tuple[str, ...]
) -> None:
    for number, wnid in enumerate(wnids):
        (tmp_path / name / wnid).mkdir(parents=True)
        (tmp_path / name / wnid / "art_0.jpg").write_bytes(photo(number, (9, 8)))
    words = ("prepare", name, "--source", tmp_path / name, "--processes", 1)

    with pytest.raises(DataError, match="200 val images, not"):
        invoke(*words)

    assert "200 classes, 0 train, 200 val images" in invoke(*words, "--any-counts").stdout


def test_tars_are_adopted_with_the_classes_of_a_file(invoke: Invoke, tmp_path: Path) -> None:
    for n in range(3):
        with tarfile.open(tmp_path / f"x-{n}.tar", "w") as tar:
            for name, blob in (("a/k.JPG", photo(n, (9, 8))), ("a/k.cls", b"%d" % (n % 2))):
                info = tarfile.TarInfo(name)
                info.size = len(blob)
                tar.addfile(info, io.BytesIO(blob))
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    words = ("adopt", "pets", "--train", tmp_path / "x-{0..1}.tar", "--val", tmp_path / "x-[2].tar")

    made = invoke(*words, "--classes", tmp_path / "names.txt", "--processes", 1).stdout

    assert "2 classes, 2 train, 1 val images" in made
    shown = json.loads(invoke("inspect", "pets", "--json").stdout)
    assert (shown["classes"], shown["members"]["label"]) == (["cat", "dog"], "cls")
    assert "is sound" in invoke("verify", "pets").stdout
    with pytest.raises(SpecError, match=r"neither one of imagenet1k, .* nor a text file"):
        invoke(*words, "--classes", "imagenet")


def test_images_that_do_not_decode_are_named_by_verify(invoke: Invoke, tmp_path: Path) -> None:
    blobs = [photo(n, (40, 30)) for n in range(3)]
    samples = [
        Sample("a", "train", 0, blobs[0], "jpg"),
        Sample("b", "train", 0, blobs[1][:-50], "jpg"),
        Sample("c", "val", 0, blobs[2], "jpg"),
    ]
    about = About(name="set", source="a test", split_rule="by hand", classes=("x",))
    write_dataset(tmp_path / "data", about, samples)

    assert "is sound" in invoke("verify", "set").stdout
    with pytest.raises(
        DataError, match=r"1 image\(s\) do not decode:\n .*train-00000.tar/b: "
    ) as caught:
        invoke("verify", "set", "--decode", "--processes", 1)
    assert "data.corrupt: skip and data.max_corrupt: 1" in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        ("prepare", "folder", "--source", "/nowhere"),
        ("prepare", "imagenet100", "--source", "."),
        ("prepare", "imagenet100", "--source", ".", "--classes", "first100"),
        ("adopt", "x", "--train", "a.tar"),
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
        ["prepare", "imagenet100"],
        ["prepare", "imagenet_a"],
        ["prepare", "imagenet_r"],
        ["adopt"],
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
