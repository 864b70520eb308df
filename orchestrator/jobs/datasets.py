"""A dataset as the control plane sees it: its manifest, and whether its files are all there."""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.errors import DataError

MANIFEST = "manifest.json"
INDEX = "index.npz"
MANIFEST_SCHEMA = 1
Split = Literal["train", "val"]


class Shard(BaseModel):
    """One tar of a split."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    file: str
    split: Split
    samples: int
    bytes: int
    sha256: str


class Manifest(BaseModel):
    """What is in a dataset; written last, so a folder that has one is whole.

    ``content_hash`` covers keys, classes and image bytes; ``layout_hash`` the shards and their
    order, which decide the order of samples.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    schema_version: int = MANIFEST_SCHEMA
    name: str
    source: str
    split_rule: str
    classes: list[str]
    channels: int
    smallest: list[int]
    largest: list[int]
    counts: dict[Split, list[int]]
    shards: list[Shard]
    left_out: list[str]
    content_hash: str
    layout_hash: str

    def images(self, split: Split) -> int:
        """Number of images of a split."""
        return sum(self.counts[split])


def load_manifest(data_root: Path, name: str) -> Manifest:
    """The manifest of dataset ``name``.

    Raises:
        DataError: there is no such dataset, or its manifest cannot be read.
    """
    folder = data_root / name
    try:
        record = json.loads((folder / MANIFEST).read_bytes())
        found = record.get("schema_version", 0)
        if found > MANIFEST_SCHEMA:
            raise DataError(
                f"Dataset '{name}' in {folder} has manifest version {found}; this program reads up "
                f"to {MANIFEST_SCHEMA}. Use the newer program that prepared it."
            )
        return Manifest.model_validate(record)
    except FileNotFoundError:
        known = sorted(p.parent.name for p in data_root.glob(f"*/{MANIFEST}"))
        raise DataError(
            f"There is no dataset '{name}' under {data_root} (there: {', '.join(known) or 'none'}). "
            f"Make it with: orchestrate data prepare {name if name == 'digits' else 'folder'} ..."
        ) from None
    except (ValueError, ValidationError, AttributeError) as error:
        raise DataError(f"The manifest {folder / MANIFEST} cannot be read: {error}") from None


def check_shards(data_root: Path, manifest: Manifest) -> None:
    """Compare the shard files' sizes with the manifest.

    Raises:
        DataError: a shard is missing, truncated or grown; every such shard is named.
    """
    faults = []
    for shard in manifest.shards:
        path = data_root / manifest.name / shard.file
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            faults.append(f"{path} is missing")
            continue
        if size != shard.bytes:
            faults.append(f"{path} has {size} bytes, not {shard.bytes}")
    if not (data_root / manifest.name / INDEX).is_file():
        faults.append(f"{data_root / manifest.name / INDEX} is missing")
    if faults:
        raise DataError(
            f"Dataset '{manifest.name}' is damaged: {'; '.join(faults)}. Prepare it again."
        )
