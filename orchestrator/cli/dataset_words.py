"""What is said of a dataset: a table, facts, a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orchestrator.jobs.files import is_temporary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.table import Table

    from orchestrator.jobs.datasets import Manifest


def report(data_root: Path, manifest: Manifest) -> None:
    click.echo(f"Dataset '{manifest.name}' is in {data_root / manifest.name}: {size(manifest)}.")
    if manifest.left_out:
        click.echo(
            f"{len(manifest.left_out)} unreadable file(s) were left out; they are listed by: "
            f"orchestrate data inspect {manifest.name} --data-root {data_root}"
        )
    if manifest.passed_over:
        click.echo(
            f"{len(manifest.passed_over)} class(es) with {sum(manifest.passed_over.values())} "
            f"image(s) are not of {manifest.label_space}; they were passed over."
        )
    for path in sorted(filter(is_temporary, data_root.iterdir())):
        click.echo(f"Remove {path} unless a preparation is running: an interrupted one left it.")


def table(manifest: Manifest) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"Dataset {manifest.name}")
    table.add_column("class")
    for split in manifest.counts:
        table.add_column(split, justify="right")
    for row in zip(manifest.classes, *manifest.counts.values(), strict=True):
        table.add_row(escape(row[0]), *map(str, row[1:]))
    table.add_section()
    table.add_row("all", *(str(sum(counts)) for counts in manifest.counts.values()))
    return table


def facts(manifest: Manifest) -> list[str]:
    sides = ("x".join(map(str, side)) for side in (manifest.smallest, manifest.largest))
    return [
        f"source        {manifest.source}",
        f"split         {manifest.split_rule}",
        f"pixels        {' to '.join(sides)}, {manifest.channels} channel(s)",
        *(f"shard         {s.file}: {s.samples} images, {s.bytes} bytes" for s in manifest.shards),
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
