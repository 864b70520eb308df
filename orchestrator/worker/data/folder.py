"""Any folder of images in one folder per class, as a dataset."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from orchestrator.errors import DataError, SpecError
from orchestrator.jobs.datasets import SPLITS, Manifest, Split
from orchestrator.worker.data.decode import UNREADABLE, fault_of, storable
from orchestrator.worker.data.keys import (
    hash_of_key,
    key_of_file,
    shown,
    validation_keys,
    validation_rule,
)
from orchestrator.worker.data.samples import About, LeftOut, Sample
from orchestrator.worker.data.shards import write_dataset
from orchestrator.worker.data.track import Track, silently

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
WINDOW = 256  # images held in memory while they are decoded in parallel
Found = Sample | LeftOut


@dataclass(frozen=True, slots=True)
class File:
    """A file that is to become a sample."""

    path: Path
    key: str
    split: Split
    label: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The files of a source folder, by class and split."""

    source: Path
    split_rule: str
    classes: tuple[str, ...]
    files: tuple[File, ...]


def prepare_folder(
    data_root: Path,
    name: str,
    tree: Tree,
    *,
    skip_unreadable: bool = False,
    track: Track = silently,
) -> Manifest:
    """Store the images of a tree as dataset ``name``.

    Every image is decoded in full once. They are stored in the order of their keys' hashes, so
    that a shard is not one class.

    Raises:
        DataError: there is such a dataset, a class is empty, or images cannot be read and
            ``skip_unreadable`` is not set; all of them are named, and nothing is stored.
    """
    about = About(
        name=name,
        source=shown(tree.source.resolve()),
        split_rule=tree.split_rule,
        classes=tree.classes,
    )
    files = sorted(tree.files, key=lambda file: hash_of_key(file.key))
    found = _load_all(track(files, len(files)))
    return write_dataset(data_root, about, found if skip_unreadable else _refusing_faults(found))


def find_tree(source: Path, val_share: float) -> Tree:
    """The images below ``source``: ``train/CLASS/*`` and ``val/CLASS/*``, or else ``CLASS/*``.

    Without folders train and val, ``val_share`` of each class goes to the validation split.

    Raises:
        SpecError: ``val_share`` is not between 0 and 1.
        DataError: there are no classes, an empty one, or one that is not in both splits.
    """
    if not 0 < val_share < 1:
        raise SpecError(f"The share of validation images is {val_share}; it must be in (0, 1)")
    tops: dict[Split, Path] = {split: source / split for split in SPLITS}
    if all(top.is_dir() for top in tops.values()):
        return _tree_of_two(source, tops)
    classes = _classes(source)
    files = []
    for label, name in enumerate(classes):
        paths = {key_of_file(path.relative_to(source)): path for path in _images(source / name)}
        val = validation_keys(paths.keys(), val_share)
        files += [
            File(path, key, "val" if key in val else "train", label) for key, path in paths.items()
        ]
    return Tree(
        source=source,
        split_rule=validation_rule(val_share),
        classes=classes,
        files=tuple(files),
    )


def _tree_of_two(source: Path, tops: dict[Split, Path]) -> Tree:
    classes = {split: _classes(top) for split, top in tops.items()}
    one_sided = sorted(set(classes["train"]) ^ set(classes["val"]))
    if one_sided:
        raise DataError(
            f"Both {source / 'train'} and {source / 'val'} need a folder for every class; in only "
            f"one of them: {', '.join(one_sided)}. Add or remove these folders."
        )
    files = [
        File(path, key_of_file(path.relative_to(source)), split, label)
        for split, top in tops.items()
        for label, name in enumerate(classes["train"])
        for path in _images(top / name)
    ]
    return Tree(
        source=source,
        split_rule="the folders train and val of the source",
        classes=classes["train"],
        files=tuple(files),
    )


def _classes(top: Path) -> tuple[str, ...]:
    """The names of the class folders, in the order that gives them their labels."""
    if not top.is_dir():
        raise DataError(f"There is no folder {shown(top)}. Give one with a folder for every class.")
    names = sorted(path.name for path in top.iterdir() if path.is_dir() and _visible(path))
    loose = [path.name for path in top.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
    if loose:
        raise DataError(
            f"{shown(top)} holds {len(loose)} image(s) beside its class folders, such as "
            f"{shown(Path(min(loose)))}; every image must be in the folder of its class. Move them."
        )
    if not names:
        raise DataError(
            f"{shown(top)} has no folders; it must hold one per class, with its images directly "
            f"inside, or the folders train and val with such folders in both."
        )
    for name in names:
        if not name.isprintable():
            raise DataError(
                f"The name of the class folder {shown(top / name)} cannot be printed. Rename it."
            )
    return tuple(names)


def _images(folder: Path) -> list[Path]:
    """The files of a class; whether they are images shows when they are decoded."""
    paths = sorted(path for path in folder.iterdir() if _visible(path))
    inner = next((path for path in paths if path.is_dir()), None)
    if inner:
        raise DataError(
            f"{shown(inner)} is a folder inside a class folder; images must lie directly in the "
            "folder of their class. Move them up, or give the folder above the classes as source."
        )
    if not paths:
        raise DataError(f"The class folder {shown(folder)} is empty. Add images, or remove it.")
    return paths


def _visible(path: Path) -> bool:
    return not path.name.startswith(".")


def _load_all(files: Iterable[File]) -> Iterator[Found]:
    """Decode in threads (Pillow lets others run meanwhile), a window at a time, in order."""
    remaining = iter(files)
    with ThreadPoolExecutor() as pool:
        while window := list(islice(remaining, WINDOW)):
            yield from pool.map(_load, window)


def _load(file: File) -> Found:
    try:
        if not file.path.is_file():
            return LeftOut(shown(file.path), "not a regular file, or a link to nothing")
        blob, suffix = storable(file.path.read_bytes())
    except UNREADABLE as error:
        return LeftOut(shown(file.path), fault_of(error))
    return Sample(file.key, file.split, file.label, blob, suffix)


def _refusing_faults(found: Iterable[Found]) -> Iterator[Sample]:
    """The samples, until one cannot be read; then the rest is only read, to name every fault."""
    faults = []
    for one in found:
        if isinstance(one, LeftOut):
            faults.append(str(one))
        elif not faults:
            yield one
    if faults:
        lines = "\n  ".join(sorted(faults))
        raise DataError(
            f"{len(faults)} file(s) cannot be read as images:\n  {lines}\n"
            "Nothing was stored. Repair or remove them, or leave them out with: --skip-unreadable"
        )
