"""The blocks of a grid: axes, the layers their values stand for, seeds, placement."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from orchestrator.config import Placement
from orchestrator.sweep import keys
from orchestrator.sweep.chain import Chain
from orchestrator.sweep.faults import Faults
from orchestrator.sweep.settings import SEED, Layer, layer_of, refuse_seed
from orchestrator.sweep.spec import BlockSpec
from orchestrator.sweep.strict_yaml import Document, KeyPath, Place, Plain

CASE = "case"


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
class Block:
    """A product of axes, the last one fastest, and of its seeds, faster still."""

    axes: tuple[Axis, ...]
    seeds: tuple[int, ...]
    placement: Placement
    placed_at: Place


def read_blocks(chain: Chain, seeds: Sequence[int] | None, faults: Faults) -> tuple[Block, ...]:
    """The blocks of the grid; ``seeds``, if given, replace all that is written."""
    spec, document = chain.owner("grid")
    return tuple(
        Block(
            axes=tuple(_read_axes(block, document, ("grid", number), faults)),
            seeds=tuple(seeds or block.seeds or chain.owner("seeds")[0].seeds),
            placement=_overlaid_placement(chain.owner("placement")[0].placement, block.placement),
            placed_at=document.place(("grid", number, "placement"))
            if block.placement.model_fields_set
            else chain.place("placement"),
        )
        for number, block in enumerate(spec.grid)
    )


def _overlaid_placement(base: Placement, block: Placement) -> Placement:
    written = (part.model_dump(mode="json", exclude_unset=True) for part in (base, block))
    return Placement.from_plain({key: value for part in written for key, value in part.items()})


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
