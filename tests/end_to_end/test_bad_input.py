"""What a user gets wrong is one message through the real program, and leaves nothing behind."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

GOOD = """\
name: tiny
set:
  data: {name: digits}
  model: {img_size: 8, patch_size: 4, in_chans: 1, num_classes: 10, dim: 16, depth: 1, heads: 2}
  train: {epochs: 1, batch_size: 96, chunk: 32}
placement: {device: cpu}
"""
BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
)
# Case: what is put for what in the good file (or the whole file), what the message says.
BAD = {
    "misspelt key": (("chunk:", "chunks:"), ["a.yaml:5:", "train.chunks", "train.chunk"]),
    "wrong type": (("epochs: 1", "epochs: many"), ["a.yaml:5:", "train.epochs", "whole number"]),
    "impossible value": (("heads: 2", "heads: 3"), ["a.yaml", "heads", "16"]),
    "empty grid": (("placement", "grid: []\nplacement"), ["a.yaml:6:", "grid", "empty"]),
    "empty axis": (
        ("placement", "grid: [{optim.lr: []}]\nplacement"),
        ["a.yaml:6:", "optim.lr", "empty"],
    ),
    "missing shard set": (("name: digits", "name: cats"), ["'cats'", "orchestrate data prepare"]),
    "wrong class count": (("classes: 10", "classes: 7"), ["model.num_classes 7", "10 classes"]),
    "unknown executor": (
        ("placement", "executor: moon\nplacement"),
        ["a.yaml:6:", "'moon'", "known executors: local"],
    ),
    "slashes in the name": (("name: tiny", "name: ../../tiny"), ["a.yaml:1:", "name", "letters"]),
    "a bomb": (("", BOMB), ["a.yaml"]),
    "a python tag": (
        ("name: tiny", "name: !!python/object/apply:os.system [touch hacked]"),
        ["a.yaml:1:", "tag"],
    ),
    "no YAML": (("", "name: [\n"), ["a.yaml:"]),
    "not a mapping": (("", "- a\n"), ["a.yaml:1:", "mapping"]),
    "nothing": (("", " "), ["a.yaml", "name"]),
}


def launch(folder: Path, data: Path, *more: str, root: str = "runs") -> tuple[int, str]:
    """Exit code and message; nothing may be said but the message."""
    told = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "launch", "a.yaml", *more],
        env={**os.environ, "ORCHESTRATE_ROOT": root, "ORCHESTRATE_DATA": str(data)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return told.returncode, told.stderr


def tree(*folders: Path) -> list[tuple[str, float]]:
    return sorted((str(p), p.stat().st_mtime) for f in folders for p in (f, *f.rglob("*")))


def refused(folder: Path, data: Path, *more: str, root: str = "runs") -> str:
    before = tree(folder, data)
    code, message = launch(folder, data, *more, root=root)
    assert (code, message.splitlines()[0][:7]) == (1, "error: "), message
    assert "Traceback" not in message
    assert tree(folder, data) == before
    return message


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_sweep_is_refused_in_one_message_and_nothing_is_made(
    case: str, tmp_path: Path, digits: Path
) -> None:
    (old, new), words = BAD[case]
    assert old in GOOD
    (tmp_path / "a.yaml").write_text(GOOD.replace(old, new, 1) if old else new)

    message = refused(tmp_path, digits)

    assert [word for word in words if word not in message] == [], message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--set=train.epochz=3", ["train.epochz", "train.epochs"]),
        ("--set=train.epochs", ["key=value"]),
        ("--executor=moon", ["'moon'", "known executors: local"]),
        ("--seeds=-1", ["--seeds", "at least 0"]),
    ],
)
def test_a_wrong_option_is_refused_in_the_same_way(
    option: str, words: list[str], tmp_path: Path, digits: Path
) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)

    message = refused(tmp_path, digits, option)

    assert [word for word in words if word not in message] == [], message


def test_a_root_that_cannot_be_written_is_refused(tmp_path: Path, digits: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)

    message = refused(tmp_path, digits, root="a.yaml/runs")

    assert "cannot be written" in message
    assert "--root" in message


@pytest.fixture
def own_digits(tmp_path: Path, digits: Path) -> Path:
    shutil.copytree(digits, tmp_path / "data")
    return tmp_path / "data"


def test_a_truncated_shard_is_refused_with_its_sizes(tmp_path: Path, own_digits: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    shard = next((own_digits / "digits").glob("train-*.tar"))
    size = shard.stat().st_size
    os.truncate(shard, size - 1024)

    message = refused(tmp_path, own_digits)

    assert f"{shard} has {size - 1024} bytes, not {size}" in message
    assert "prepare it again" in message


@pytest.mark.slow
def test_what_is_no_image_fails_its_job_and_status_names_shard_and_key(
    tmp_path: Path, own_digits: Path
) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    shard = next((own_digits / "digits").glob("train-*.tar"))
    with tarfile.open(shard) as tar:
        images = [one for one in tar if one.name.endswith(".png")]
    spoilt = images[5]
    with shard.open("r+b") as file:
        file.seek(spoilt.offset_data)
        file.write(BytesIO(b"no image " * spoilt.size).read(spoilt.size))

    code, message = launch(tmp_path, own_digits, "--wait")

    assert (code, message) == (3, "")
    told = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "status", "--json", "--root", "runs"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    (job,) = json.loads(told.stdout)["jobs"]
    assert job["state"] == "FAILED"
    assert shard.name in job["reason"]
    assert spoilt.name.split(".")[0] in job["reason"]
