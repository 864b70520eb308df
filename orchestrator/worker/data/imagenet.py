"""Folders of ImageNet's images, as people have them, as datasets of a known class list.

Known are the usual layout (``train/WNID/*`` and ``val/WNID/*``), that of Kaggle's ImageNet-100
(``train.X1/WNID/*`` to ``train.X4``, ``val.X/WNID/*``; its ``Labels.json`` is not needed), and
that of the sets for evaluation alone, ImageNet-A and ImageNet-R (``WNID/*``). Keys do not depend
on the layout, and so neither does the content hash.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from orchestrator.errors import DataError
from orchestrator.jobs.datasets import SPLITS, Manifest, Split
from orchestrator.worker.data.folder import images_of
from orchestrator.worker.data.keys import key_of_file, shown
from orchestrator.worker.data.label_spaces import LABEL_SPACES
from orchestrator.worker.data.packed import File
from orchestrator.worker.data.packing import USUAL, Packing, pack
from orchestrator.worker.data.samples import About
from orchestrator.worker.data.shards import ShardLimits

SHARD_LIMITS = ShardLimits(samples=2_000)
"""Small enough to keep many processors busy, and to lose little by a kill."""
NAMED = 5  # classes that an error names
Folders = Mapping[Split, Mapping[str, Sequence[Path]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How many images there are officially; None where that is not asked."""

    total: Mapping[Split, int]
    per_class: Mapping[Split, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A set of images by the name of its label space."""

    label_space: str
    wnids: Sequence[str]
    expected: Expected | None
    only_val: bool = False


COLLECTIONS: Mapping[str, Collection] = {
    name: Collection(
        label_space=name, wnids=LABEL_SPACES[name], expected=expected, only_val=only_val
    )
    for name, expected, only_val in (
        (
            "imagenet100_kaggle",
            Expected(total={"train": 130_000, "val": 5_000}, per_class={"train": 1_300, "val": 50}),
            False,
        ),
        (
            "imagenet100_cmc",
            Expected(total={"train": 126_689, "val": 5_000}),
            False,
        ),
        ("imagenet_a", Expected(total={"val": 7_500}), True),
        ("imagenet_r", Expected(total={"val": 30_000}), True),
    )
}
"""The sets that are known, with their official numbers of images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The files of a source that belong to a collection, and the images that do not, by class."""

    source: Path
    split_rule: str
    files: tuple[File, ...]
    passed_over: Mapping[str, int]


def prepare_imagenet(
    data_root: Path,
    name: str,
    collection: Collection,
    found: Found,
    options: Packing = USUAL,
) -> Manifest:
    """Store what was found as dataset ``name``; a label is the place among the sorted ids.

    Raises:
        DataError: as ``packing.pack`` does.
    """
    about = About(
        name=name,
        source=shown(found.source.resolve()),
        split_rule=found.split_rule,
        classes=tuple(sorted(collection.wnids)),
        label_space=collection.label_space,
        passed_over=found.passed_over,
        only_val=collection.only_val,
    )
    return pack(data_root, about, found.files, replace(options, limits=SHARD_LIMITS))


def find_imagenet(source: Path, collection: Collection) -> Found:
    """The files below ``source`` of the collection's classes; the folders of others are counted.

    Raises:
        DataError: the layout is not a known one, classes are missing, or there are not as many
            images as ``collection.expected`` says; with the numbers.
    """
    layout = _layout_for_evaluation(source) if collection.only_val else _layout(source)
    folders = {split: _class_folders(tops) for split, tops in layout.items()}
    _refuse_missing(source, collection, folders)
    files = [
        File(path, key_of_file(_canonical(split, wnid, path, collection)), split, label)
        for split, by_class in folders.items()
        for label, wnid in enumerate(sorted(collection.wnids))
        for folder in by_class[wnid]
        for path in images_of(folder)
    ]
    _refuse_twins(files)
    _refuse_other_counts(source, collection, files)
    return Found(
        source=source,
        split_rule="the whole source is val" if collection.only_val else _rule(layout),
        files=tuple(files),
        passed_over=_passed_over(collection, folders),
    )


def _canonical(split: Split, wnid: str, path: Path, collection: Collection) -> PurePath:
    """The path that a file has in the usual layout."""
    parts = (wnid, path.name) if collection.only_val else (split, wnid, path.name)
    return PurePath(*parts)


def _layout(source: Path) -> dict[Split, list[Path]]:
    """The folders that hold a split's classes."""
    usual = {split: source / split for split in SPLITS}
    if all(top.is_dir() for top in usual.values()):
        return {split: [top] for split, top in usual.items()}
    parts = {split: sorted(source.glob(f"{split}.X*")) for split in SPLITS}
    if all(parts.values()):
        return parts
    there = sorted(path.name for path in source.iterdir())[:NAMED]
    raise DataError(
        f"{shown(source)} holds neither train and val, nor train.X1 to train.X4 and val.X as "
        f"Kaggle's ImageNet-100 does (there: {', '.join(there) or 'nothing'}). Give the folder "
        "above these with --source."
    )


def _layout_for_evaluation(source: Path) -> dict[Split, list[Path]]:
    return {"val": [source]}


def _rule(layout: Mapping[Split, Sequence[Path]]) -> str:
    names = {split: " ".join(top.name for top in tops) for split, tops in layout.items()}
    return f"of the source's folders, train is {names['train']}, and val is {names['val']}"


def _class_folders(tops: Iterable[Path]) -> dict[str, list[Path]]:
    """By class, its folders: Kaggle's parts may hold a class more than once."""
    folders: dict[str, list[Path]] = defaultdict(list)
    for top in tops:
        for path in sorted(top.iterdir()):
            if path.is_dir() and not path.name.startswith("."):
                folders[path.name].append(path)
    return folders


def _refuse_missing(source: Path, collection: Collection, folders: Folders) -> None:
    faults = []
    for split, by_class in folders.items():
        missing = sorted(set(collection.wnids) - by_class.keys())
        if missing:
            others = len(by_class.keys() - set(collection.wnids))
            faults.append(
                f"{len(missing)} of the {len(collection.wnids)} classes have no folder in {split}, "
                f"such as {', '.join(missing[:NAMED])}; there are {others} folders of other classes"
            )
    if faults:
        raise DataError(
            f"{shown(source)} is not {collection.label_space}: {'; '.join(faults)}. Nothing was "
            f"stored. {_advice(collection)}"
        )


def _advice(collection: Collection) -> str:
    """Two lists go by one name: whoever has the other is told so."""
    if collection.label_space.startswith("imagenet100_"):
        return (
            "Give the other list with --classes (kaggle or cmc; they share 8 classes), or add "
            "these classes."
        )
    return "Add these classes, each in a folder named by its WordNet id (n and 8 digits)."


def _refuse_twins(files: Iterable[File]) -> None:
    seen: dict[str, Path] = {}
    for file in files:
        other = seen.setdefault(file.key, file.path)
        if other != file.path:
            raise DataError(
                f"{shown(other)} and {shown(file.path)} are the same image of the same class by "
                "their names. Remove one of them."
            )


def _refuse_other_counts(source: Path, collection: Collection, files: Sequence[File]) -> None:
    if collection.expected is None:
        return
    faults = []
    for split, total in collection.expected.total.items():
        labels = [file.label for file in files if file.split == split]
        if len(labels) != total:
            faults.append(f"{len(labels):,} {split} images, not {total:,}")
        faults += _other_classes(collection, split, labels)
    if faults:
        raise DataError(
            f"{shown(source)} has other numbers of images than {collection.label_space} "
            f"officially has: {'; '.join(faults)}. Nothing was stored. Complete it, or store what "
            "is there with --any-counts: the manifest says how many that are."
        )


def _other_classes(collection: Collection, split: Split, labels: Sequence[int]) -> list[str]:
    assert collection.expected is not None
    if collection.expected.per_class is None:
        return []
    wanted = collection.expected.per_class[split]
    counts = [0] * len(collection.wnids)
    for label in labels:
        counts[label] += 1
    named = zip(sorted(collection.wnids), counts, strict=True)
    other = [f"{wnid} has {count}" for wnid, count in named if count != wanted]
    if not other:
        return []
    return [f"{len(other)} class(es) have not {wanted} in {split}: {', '.join(other[:NAMED])}"]


def _passed_over(collection: Collection, folders: Folders) -> dict[str, int]:
    """The images of classes that are not the collection's, by class, over all splits."""
    counts: dict[str, int] = defaultdict(int)
    for by_class in folders.values():
        for name in by_class.keys() - set(collection.wnids):
            counts[name] += sum(
                not path.name.startswith(".") for top in by_class[name] for path in top.iterdir()
            )
    return dict(sorted(counts.items()))
