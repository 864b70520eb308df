"""What is said of a dataset: a table, facts, a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from orchestrator.cli.prose import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rich.table import Table

    from orchestrator.documents.site import DatasetDocument, VerifyDocument
    from orchestrator.jobs.datasets import Manifest


def manifest_as_json(manifest: Manifest) -> DatasetDocument:
    """The documented form of ``data inspect --json``."""
    plain = manifest.model_dump(mode="json", exclude={"schema_version"})
    return cast("DatasetDocument", {"schema": 1, **plain})


def verified_as_json(
    manifest: Manifest, faults: Sequence[str], undecodable: Sequence[str]
) -> VerifyDocument:
    """The documented form of ``data verify --json``."""
    return {
        "schema": 1,
        "name": manifest.name,
        "sound": not (faults or undecodable),
        "images": {split: manifest.images(split) for split in manifest.counts},
        "content_hash": manifest.content_hash,
        "faults": faults,
        "undecodable": undecodable,
    }


def report(data_root: Path, manifest: Manifest, *, plain: bool) -> None:
    """Say what was made; ``plain``: as JSON."""
    if plain:
        from orchestrator.cli.render import print_json

        print_json(manifest_as_json(manifest))
        return
    from orchestrator.jobs.files import is_temporary

    say(f"Dataset '{manifest.name}' is in {data_root / manifest.name}: {size(manifest)}.")
    if manifest.left_out:
        say(
            f"{len(manifest.left_out)} unreadable file(s) were left out; they are listed by: "
            f"orchestrate data inspect {manifest.name} --data-root {data_root}"
        )
    if manifest.passed_over:
        say(
            f"{len(manifest.passed_over)} class(es) with {sum(manifest.passed_over.values())} "
            f"image(s) are not of {manifest.label_space}; they were passed over."
        )
    for path in sorted(filter(is_temporary, data_root.iterdir())):
        say(f"Remove {path} unless a preparation is running: an interrupted one left it.")


def table(manifest: Manifest) -> Table:
    """Images of each class by split, and of all."""
    from orchestrator.cli.tables import table as made

    splits = [*manifest.counts]
    rows = zip(manifest.classes, *manifest.counts.values(), strict=True)
    listed = [(name, *(f"{count:,}" for count in counts)) for name, *counts in rows]
    total = ("all", *(f"{sum(counts):,}" for counts in manifest.counts.values()))
    return made(["class", *splits], [*listed, total], right=splits)


def facts(manifest: Manifest) -> list[str]:
    sides = ("x".join(map(str, side)) for side in (manifest.smallest, manifest.largest))
    return [
        f"source        {manifest.source}",
        f"split         {manifest.split_rule}",
        f"pixels        {' to '.join(sides)}, {manifest.channels} channel(s)",
        *(f"shard         {s.file}: {s.samples} images, {s.bytes} bytes" for s in manifest.shards),
        *(f"streamed from {url}" for url in manifest.remote),
        f"content hash  {manifest.content_hash}",
        f"layout hash   {manifest.layout_hash}",
        *_label_facts(manifest),
        *(f"left out      {line}" for line in manifest.left_out),
    ]


def _label_facts(manifest: Manifest) -> Iterator[str]:
    if manifest.label_space:
        yield f"label space   {manifest.label_space}"
    if manifest.classes_sha256:
        yield f"classes hash  {manifest.classes_sha256}"
    if manifest.passed_over:
        images = sum(manifest.passed_over.values())
        yield f"passed over   {len(manifest.passed_over)} other class(es), {images} image(s)"


def size(manifest: Manifest) -> str:
    images = ", ".join(f"{sum(n)} {split}" for split, n in manifest.counts.items())
    return f"{len(manifest.classes)} classes, {images} images"
