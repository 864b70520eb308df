"""The blocks of a grid: axes, seeds, a condition, placement, resources."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from orchestrator.config import Placement, Resources
from orchestrator.config.section import Section
from orchestrator.sweep.axes import Axis, read_axes
from orchestrator.sweep.chain import Chain
from orchestrator.sweep.conditions import Condition, read_condition
from orchestrator.sweep.edge import merged
from orchestrator.sweep.faults import Faults
from orchestrator.sweep.strict_yaml import Document, KeyPath, Place

S = TypeVar("S", bound=Section)


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
    where: Condition | None
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
            axes=read_axes(block, document, ("grid", number), faults),
            seeds=tuple(seeds or block.seeds or chain.owner("seeds")[0].seeds),
            where=read_condition(block.where, document, ("grid", number, "where"), faults),
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
