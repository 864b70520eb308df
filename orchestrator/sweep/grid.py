"""The blocks of a grid: axes, the layers their values stand for, seeds, placement, resources."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Generic, TypeVar

from orchestrator.config import Placement, Resources
from orchestrator.config.section import Section
from orchestrator.sweep import keys
from orchestrator.sweep.chain import Chain
from orchestrator.sweep.edge import merged
from orchestrator.sweep.faults import Faults
from orchestrator.sweep.settings import SEED, Layer, layer_of, refuse_seed
from orchestrator.sweep.spec import BlockSpec
from orchestrator.sweep.strict_yaml import Document, KeyPath, Place, Plain

CASE = "case"

S = TypeVar("S", bound=Section)


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of an axis as written, or the name of a case, and the layer it stands for."""

    value: Plain
    layer: Layer


@dataclass(frozen=True, slots=True)
class Axis:
    """What one key of a block varies; the key is ``case`` for cases."""

    key: str
    choices: tuple[Choice, ...]

    def touched(self) -> set[str]:
        """Every key that some choice decides."""
        return {key for choice in self.choices for key in choice.layer}


@dataclass(frozen=True, slots=True)
class Written(Generic[S]):
    """A value and where it was written last."""

    value: S
    place: Place


@dataclass(frozen=True, slots=True)
class Block:
    """A product of axes, the last one fastest, and of its seeds, faster still."""

    axes: tuple[Axis, ...]
    seeds: tuple[int, ...]
    placement: Written[Placement]
    resources: Written[Resources]


def read_blocks(chain: Chain, seeds: Sequence[int] | None, faults: Faults) -> tuple[Block, ...]:
    """The blocks of the grid; ``seeds``, if given, replace all that is written."""
    spec, document = chain.owner("grid")
    placement = chain.owner("placement")[0].placement
    resources = chain.owner("resources")[0].resources
    laid = _Overlay(chain, document, faults)
    return tuple(
        Block(
            axes=tuple(_read_axes(block, document, ("grid", number), faults)),
            seeds=tuple(seeds or block.seeds or chain.owner("seeds")[0].seeds),
            placement=laid.over(placement, block.placement, ("grid", number, "placement")),
            resources=laid.over(resources, block.resources, ("grid", number, "resources")),
        )
        for number, block in enumerate(spec.grid)
    )


@dataclass(frozen=True, slots=True)
class _Overlay:
    """What a block writes, laid over what the sweep writes, key by key."""

    chain: Chain
    document: Document
    faults: Faults

    def over(self, base: S, block: S, path: KeyPath) -> Written[S]:
        key = str(path[-1])
        if not block.model_fields_set:
            return Written(base, self.chain.place(key))
        place = self.document.place(path)
        return Written(merged(base, block, self.faults, key=key, place=place), place)


def _read_axes(
    block: BlockSpec, document: Document, path: KeyPath, faults: Faults
) -> Iterator[Axis]:
    values: Mapping[str, list[Plain]] = block.__pydantic_extra__ or {}
    axes: list[tuple[str, Axis]] = []
    for key in document.keys(path):
        if key == "cases":
            axes.append((key, _read_cases(block, document, (*path, key), faults)))
        elif key in values:
            axes.append((key, _read_axis(values[key], document, (*path, key), faults)))
    touched = [(name, axis.touched()) for name, axis in axes]
    for (name, first), (other_name, second) in combinations(touched, 2):
        if any(keys.related(key, other) for key in first for other in second):
            problem = f"{name} and {other_name} of one block decide the same key; use two blocks"
            faults.add(document.place((*path, other_name)), problem)
    return (axis for _, axis in axes)


def _read_axis(values: list[Plain], document: Document, path: KeyPath, faults: Faults) -> Axis:
    key = str(path[-1])
    problem = SEED if key == "seed" else keys.unknown_setting(key, *BlockSpec.model_fields)
    if problem:
        faults.add(document.place(path), problem)
        return Axis(key, ())
    choices = []
    for number, value in enumerate(values):
        layer = layer_of({key: value}, document, (*path, number), faults)
        choices.append(Choice(value, layer))
    return Axis(key, tuple(choices))


def _read_cases(block: BlockSpec, document: Document, path: KeyPath, faults: Faults) -> Axis:
    choices = []
    for name, settings in block.cases.items():
        layer = layer_of(settings, document, (*path, name), faults)
        refuse_seed(layer, faults)
        choices.append(Choice(name, layer))
    return Axis(CASE, tuple(choices))
