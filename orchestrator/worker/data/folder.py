"""Any folder of images in one folder per class, as a dataset."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import DataError, SpecError
from orchestrator.jobs.datasets import SPLITS, Manifest, Split
from orchestrator.worker.data.keys import key_of_file, shown, validation_keys, validation_rule
from orchestrator.worker.data.packed import File
from orchestrator.worker.data.packing import USUAL, Packing, pack
from orchestrator.worker.data.samples import About

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


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
    options: Packing = USUAL,
) -> Manifest:
    """Store the images of a tree as dataset ``name``.

    Raises:
        DataError: as ``packing.pack`` does.
    """
    about = About(
        name=name,
        source=shown(tree.source.resolve()),
        split_rule=tree.split_rule,
        classes=tree.classes,
    )
    return pack(data_root, about, tree.files, options)


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
    classes = class_folders(source)
    files = []
    for label, name in enumerate(classes):
        paths = {key_of_file(path.relative_to(source)): path for path in images_of(source / name)}
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
    classes = {split: class_folders(top) for split, top in tops.items()}
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
        for path in images_of(top / name)
    ]
    return Tree(
        source=source,
        split_rule="the folders train and val of the source",
        classes=classes["train"],
        files=tuple(files),
    )


def class_folders(top: Path) -> tuple[str, ...]:
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


def images_of(folder: Path) -> list[Path]:
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
