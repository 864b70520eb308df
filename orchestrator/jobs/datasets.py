"""A dataset as the control plane sees it: its manifest, and whether its files are all there."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from orchestrator.config.data import DATASET_NAME
from orchestrator.errors import DataError
from orchestrator.jobs.files import is_temporary

MANIFEST = "manifest.json"
INDEX = "index.npz"
FEW = 3
"""So many classes are named in a message."""
MANIFEST_SCHEMA = 3
Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = get_args(Split)


class Shard(BaseModel):
    """One tar of a split."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    file: str
    split: Split
    samples: int
    bytes: int
    sha256: str


class Members(BaseModel):
    """How samples lie in tars that another tool wrote: a member is ``KEY.FIELD``, in any case.

    ``image``: the fields that hold an image, one of which each sample has. ``label``: the field
    that holds the label, as a number or a class's name; ``within`` the key of it in a JSON object.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        json_schema_serialization_defaults_required=True,
    )
    image: list[str] = ["jpg", "jpeg", "png", "webp"]
    label: str = "cls"
    within: str | None = None


class Manifest(BaseModel):
    """What is in a dataset; written last, so a folder that has one is whole.

    ``content_hash`` covers keys, classes and image bytes; ``layout_hash`` the shards and their
    order, which decide the order of samples. ``smallest`` and ``largest`` are width and height,
    each over all images. ``left_out`` names files of the source that could not be read.

    Since version 2: ``label_space`` is the name of the known class list that ``classes`` are, and
    ``classes_sha256`` the hash of the classes, a line each; ``passed_over`` counts the images of
    classes of the source that are not among them. ``members`` is there if the shards are links to
    tars of another tool.

    Since version 3: ``remote`` are the URLs of the training shards, in their order, where those are
    not here but streamed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    schema_version: int = MANIFEST_SCHEMA
    name: str
    source: str
    split_rule: str
    classes: list[str]
    channels: Literal[1, 3]
    smallest: list[int]
    largest: list[int]
    counts: dict[Split, list[int]]
    shards: list[Shard]
    left_out: list[str]
    content_hash: str
    layout_hash: str
    label_space: str | None = None
    classes_sha256: str | None = None
    passed_over: dict[str, int] = {}
    members: Members | None = None
    remote: list[str] = []

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        for split in SPLITS:
            if len(self.counts.get(split, [])) != len(self.classes):
                raise ValueError(f"counts.{split} does not have one number per class")
            stored = sum(shard.samples for shard in self.shards if shard.split == split)
            if stored != self.images(split):
                raise ValueError(
                    f"the shards of split {split} have {stored} samples, but counts.{split} "
                    f"adds up to {self.images(split)}"
                )
        if self.remote and len(self.remote) != len(self.shards_of("train")):
            raise ValueError("remote does not have one URL per training shard")
        if self.classes_sha256 not in {None, lines_sha256(self.classes)}:
            raise ValueError("classes_sha256 is not the hash of its classes")
        return self

    def images(self, split: Split) -> int:
        """Number of images of a split."""
        return sum(self.counts[split])

    def shards_of(self, split: Split) -> list[Shard]:
        """The shards of a split, in order."""
        return [shard for shard in self.shards if shard.split == split]

    def shards_here(self) -> list[Shard]:
        """The shards that are files of the dataset's folder."""
        return self.shards_of("val") if self.remote else self.shards


def lines_sha256(lines: Iterable[str]) -> str:
    """The hash of a list of classes: of their names in this order, a line each."""
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def load_manifest(data_root: Path, name: str) -> Manifest:
    """The manifest of dataset ``name``.

    Raises:
        DataError: there is no such dataset, or its manifest cannot be read.
    """
    check_name(name)
    path = data_root / name / MANIFEST
    try:
        record = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise _no_such_dataset(data_root, name) from None
    except OSError as error:
        raise DataError(
            f"The manifest {path} cannot be read: {error.strerror}. Ask for the rights to, or "
            "name another folder of datasets with --data-root."
        ) from None
    except ValueError as error:
        raise _unreadable(path, str(error)) from None
    manifest = _checked(path, record)
    if manifest.name != name:
        raise DataError(
            f"{path} is the manifest of dataset '{manifest.name}', not of '{name}'. "
            f"Give the folder {path.parent} the name {manifest.name}."
        )
    return manifest


def check_name(name: str) -> None:
    """Refuse a name that cannot be a dataset's folder and stand in a sweep.

    Raises:
        DataError: with the rule.
    """
    if not re.fullmatch(DATASET_NAME, name):
        raise DataError(
            f"'{name}' cannot be the name of a dataset: use letters, digits, '.', '_' and '-', "
            "64 at most, the first a letter or a digit."
        )


def check_shards(data_root: Path, manifest: Manifest) -> None:
    """Compare the shard files' sizes with the manifest.

    Raises:
        DataError: a shard is missing, truncated or grown; every such shard is named.
    """
    folder = data_root / manifest.name
    faults = []
    for shard in manifest.shards_here():
        path = folder / shard.file
        try:
            size = path.stat().st_size
        except OSError as error:
            faults.append(_missing(path, error))
            continue
        if size != shard.bytes:
            faults.append(f"{path} has {size} bytes, not {shard.bytes}")
    if not (folder / INDEX).is_file():
        faults.append(f"{folder / INDEX} is missing")
    if faults:
        raise DataError(
            f"Dataset '{manifest.name}' is damaged: {'; '.join(faults)}. "
            f"Remove {folder} and prepare it again."
        )


def misfit(images: Manifest, training: Manifest) -> str | None:
    """Why a model that was trained on one dataset cannot be evaluated on another, or None."""
    if images.channels != training.channels:
        return (
            f"Dataset '{images.name}' has images of {images.channels} channel(s), but "
            f"'{training.name}', on which the model is trained, of {training.channels}."
        )
    if not {*images.classes} & {*training.classes}:
        return (
            f"Dataset '{images.name}' has no class in common with '{training.name}', on which the "
            f"model is trained: {_few(images.classes)} against {_few(training.classes)}."
        )
    return None


def _few(classes: Sequence[str]) -> str:
    return ", ".join(classes[:FEW]) + (", ..." if len(classes) > FEW else "")


def known_datasets(data_root: Path) -> list[str]:
    """The names of the datasets under a data root."""
    folders = (path.parent for path in data_root.glob(f"*/{MANIFEST}"))
    return sorted(folder.name for folder in folders if not is_temporary(folder))


def _checked(path: Path, record: object) -> Manifest:
    found = record.get("schema_version", 0) if isinstance(record, dict) else 0
    if isinstance(found, int) and found > MANIFEST_SCHEMA:
        raise DataError(
            f"{path} has manifest version {found}; this program reads up to {MANIFEST_SCHEMA}. "
            "Use the newer program that prepared it."
        )
    try:
        return Manifest.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise _unreadable(path, f"{place}: {first['msg']}") from None


_HOW = {
    "digits": "digits",
    "imagenet100": "imagenet100 --source DIR --classes kaggle",
    "imagenet_a": "imagenet_a --source DIR",
    "imagenet_r": "imagenet_r --source DIR",
}
"""By the usual name of a dataset, the words that make it."""


def _no_such_dataset(data_root: Path, name: str) -> DataError:
    if (data_root / name).is_dir():
        return DataError(
            f"{data_root / name} has no {MANIFEST}, so it is no whole dataset. Remove that folder, "
            "then prepare it again."
        )
    words = _HOW.get(name, f"folder --source DIR --name {name}")
    return DataError(
        f"There is no dataset '{name}' under {data_root} "
        f"(there: {', '.join(known_datasets(data_root)) or 'none'}). Make it with: "
        f"orchestrate data prepare {words} --data-root {data_root}"
    )


def _unreadable(path: Path, fault: str) -> DataError:
    return DataError(
        f"The manifest {path} cannot be read: {fault}. Remove {path.parent} and prepare it again."
    )


def _missing(path: Path, error: OSError) -> str:
    return f"{path} is missing" if isinstance(error, FileNotFoundError) else f"{path}: {error}"
