"""The axes of a block: keys with their values, named cases, and lists that are walked together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations

from orchestrator.sweep import keys
from orchestrator.sweep.faults import Faults
from orchestrator.sweep.settings import SEED, Layer, layer_of, overlaid, refuse_seed
from orchestrator.sweep.spec import BlockSpec
from orchestrator.sweep.strict_yaml import Document, KeyPath, Plain

CASE = "case"
"""The key under which a point has the name of its case."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A position on an axis: what it is called under each key, and the layer that it stands for.

    It is called by the value as written, or by the name of a case.
    """

    labels: Mapping[str, Plain]
    layer: Layer


@dataclass(frozen=True, slots=True)
class Axis:
    """What one key of a block varies: a configuration key, ``cases`` or ``zip``."""

    name: str
    choices: tuple[Choice, ...]

    def touched(self) -> set[str]:
        """Every key that some choice decides."""
        return {key for choice in self.choices for key in choice.layer}


def read_axes(
    block: BlockSpec, document: Document, path: KeyPath, faults: Faults
) -> tuple[Axis, ...]:
    """The axes of the block at ``path``, in the order of the file."""
    values: Mapping[str, list[Plain]] = block.__pydantic_extra__ or {}
    also = tuple(BlockSpec.model_fields)
    axes: list[Axis] = []
    for key in document.keys(path):
        place = (*path, key)
        if key == "cases":
            axes.append(_read_cases(block, document, place, faults))
        elif key == "zip":
            axes.append(_read_zip(block, document, place, faults))
        elif key in values:
            axes.append(_read_axis(values[key], document, place, faults, also))
    _refuse_overlap(axes, document, path, faults)
    return tuple(axes)


def _refuse_overlap(
    axes: Sequence[Axis], document: Document, path: KeyPath, faults: Faults
) -> None:
    touched = [(axis.name, axis.touched()) for axis in axes]
    for (name, first), (other_name, second) in combinations(touched, 2):
        if any(keys.related(key, other) for key in first for other in second):
            problem = f"{name} and {other_name} of one block decide the same key; use two blocks"
            faults.add(document.place((*path, other_name)), problem)


def _read_axis(
    values: Sequence[Plain],
    document: Document,
    path: KeyPath,
    faults: Faults,
    also: Sequence[str] = (),
) -> Axis:
    """One key with its values; ``also`` may be meant by what is no configuration key."""
    key = str(path[-1])
    problem = SEED if key == "seed" else keys.unknown_setting(key, *also)
    if problem:
        faults.add(document.place(path), problem)
        return Axis(key, ())
    layers = (
        layer_of({key: value}, document, (*path, number), faults)
        for number, value in enumerate(values)
    )
    choices = (Choice({key: value}, layer) for value, layer in zip(values, layers, strict=True))
    return Axis(key, tuple(choices))


def _read_cases(block: BlockSpec, document: Document, path: KeyPath, faults: Faults) -> Axis:
    choices = []
    for name, settings in block.cases.items():
        layer = layer_of(settings, document, (*path, name), faults)
        refuse_seed(layer, faults)
        choices.append(Choice({CASE: name}, layer))
    return Axis("cases", tuple(choices))


def _read_zip(block: BlockSpec, document: Document, path: KeyPath, faults: Faults) -> Axis:
    axes = [_read_axis(values, document, (*path, key), faults) for key, values in block.zip.items()]
    _refuse_overlap(axes, document, path, faults)
    first, *others = block.zip
    for key in others:
        if len(block.zip[key]) != len(block.zip[first]):
            faults.add(
                document.place((*path, key)),
                f"zip walks its lists together, but {first} has {len(block.zip[first])} value(s) "
                f"and {key} has {len(block.zip[key])}",
            )
    return Axis("zip", tuple(_joined(axes)))


def _joined(axes: Sequence[Axis]) -> Iterator[Choice]:
    # Lists of different lengths were refused.
    for choices in zip(*(axis.choices for axis in axes), strict=False):
        labels = {key: value for choice in choices for key, value in choice.labels.items()}
        yield Choice(labels, reduce(overlaid, (choice.layer for choice in choices)))
