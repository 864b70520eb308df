import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import DataError
from orchestrator.jobs.datasets import INDEX, MANIFEST, Manifest, check_shards, load_manifest

SHARDS: list[dict[str, Any]] = [
    {"file": f"{split}-00000.tar", "split": split, "samples": n, "bytes": 10 * n, "sha256": "0"}
    for split, n in (("train", 5), ("val", 2))
]
RECORD = {
    "schema_version": 1,
    "name": "pets",
    "source": "a test",
    "split_rule": "by hand",
    "classes": ["cat", "dog"],
    "channels": 3,
    "smallest": [1, 1],
    "largest": [2, 2],
    "counts": {"train": [3, 2], "val": [1, 1]},
    "shards": SHARDS,
    "left_out": [],
    "content_hash": "c",
    "layout_hash": "l",
}


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    folder = tmp_path / "pets"
    folder.mkdir()
    (folder / MANIFEST).write_text(json.dumps(RECORD))
    (folder / INDEX).touch()
    for shard in SHARDS:
        (folder / shard["file"]).write_bytes(b"x" * shard["bytes"])
    return tmp_path


@pytest.mark.parametrize(
    "further",
    [
        {"schema_version": 1},
        {"schema_version": 2, "label_space": None, "passed_over": {}, "members": None},
        {"schema_version": 3, "remote": []},
    ],
)
def test_a_whole_dataset_of_any_version_is_read(data_root: Path, further: dict[str, Any]) -> None:
    (data_root / "pets" / MANIFEST).write_text(json.dumps(RECORD | further))

    manifest = load_manifest(data_root, "pets")

    check_shards(data_root, manifest)
    assert (manifest.images("train"), manifest.images("val")) == (5, 2)
    assert Manifest.model_validate(manifest.model_dump(mode="json")) == manifest


def test_an_unknown_dataset_is_answered_with_the_known_ones_and_a_command(data_root: Path) -> None:
    (data_root / ".tmp-half-0123").mkdir()
    (data_root / ".tmp-half-0123" / MANIFEST).touch()

    with pytest.raises(DataError, match=r"\(there: pets\).*data prepare folder .* --name cars"):
        load_manifest(data_root, "cars")
    with pytest.raises(DataError, match="orchestrate data prepare digits --data-root"):
        load_manifest(data_root, "digits")
    with pytest.raises(DataError, match="there: none"):
        load_manifest(data_root / "nowhere", "cars")


@pytest.mark.parametrize("name", ["../pets", ".tmp-half-0123", "", "a/b", "x" * 65, "pets\n"])
def test_a_name_that_is_a_path_is_refused(data_root: Path, name: str) -> None:
    with pytest.raises(DataError, match="cannot be the name of a dataset"):
        load_manifest(data_root, name)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "Expecting value"),
        ('{"name": "pe', "Unterminated"),
        ("\ud800", "."),
        ("[]", "the whole: Input should be"),
        (json.dumps(RECORD | {"shards": "all"}), "shards: Input should be a valid list"),
        (json.dumps(RECORD | {"schema_version": "new"}), "schema_version: Input should be"),
        (json.dumps(RECORD | {"counts": {"train": [5]}}), "one number per class"),
        (json.dumps(RECORD | {"shards": SHARDS[:1]}), "split val have 0 samples"),
        (json.dumps(RECORD | {"surprise": 1}), "surprise: Extra"),
        (json.dumps(RECORD | {"classes_sha256": "0"}), "not the hash of its classes"),
        (json.dumps(RECORD | {"remote": ["http://a", "http://b"]}), "one URL per training shard"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused_in_words(
    data_root: Path, content: str, words: str
) -> None:
    (data_root / "pets" / MANIFEST).write_bytes(content.encode(errors="surrogatepass"))

    with pytest.raises(DataError, match=words) as caught:
        load_manifest(data_root, "pets")
    assert f"Remove {data_root / 'pets'} and prepare it again" in str(caught.value)


def test_a_manifest_of_a_newer_program_is_refused_with_both_numbers(data_root: Path) -> None:
    (data_root / "pets" / MANIFEST).write_text(json.dumps(RECORD | {"schema_version": 4}))

    with pytest.raises(DataError, match="version 4; this program reads up to 3"):
        load_manifest(data_root, "pets")


def test_training_shards_that_are_elsewhere_are_not_looked_for(data_root: Path) -> None:
    record = RECORD | {"schema_version": 3, "remote": ["https://host/t.tar"]}
    (data_root / "pets" / MANIFEST).write_text(json.dumps(record))
    (data_root / "pets" / SHARDS[0]["file"]).unlink()

    check_shards(data_root, load_manifest(data_root, "pets"))


def test_a_renamed_folder_is_noticed(data_root: Path) -> None:
    (data_root / "pets").rename(data_root / "animals")

    with pytest.raises(DataError, match="of dataset 'pets', not of 'animals'"):
        load_manifest(data_root, "animals")


def test_every_shard_that_is_not_as_it_was_is_named(data_root: Path) -> None:
    folder = data_root / "pets"
    (folder / SHARDS[0]["file"]).unlink()
    (folder / SHARDS[1]["file"]).write_bytes(b"short")
    (folder / INDEX).unlink()

    with pytest.raises(DataError) as caught:
        check_shards(data_root, load_manifest(data_root, "pets"))
    for words in ("train-00000.tar is missing", "has 5 bytes, not 20", "index.npz is missing"):
        assert words in str(caught.value)
