"""The points of a sweep that evaluates: children of the jobs of the sweeps that it names."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from pydantic import ValidationError

from orchestrator.config import EvaluateConfig, refuse_resources
from orchestrator.errors import SpecError
from orchestrator.jobs.identity import job_id, nested
from orchestrator.jobs.parents import Parent
from orchestrator.jobs.records import form_of
from orchestrator.sweep import keys
from orchestrator.sweep.blame import add_config_faults
from orchestrator.sweep.chain import Chain
from orchestrator.sweep.expand import Blueprint, Point
from orchestrator.sweep.faults import Faults
from orchestrator.sweep.grid import Block
from orchestrator.sweep.names import LONGEST, text_of
from orchestrator.sweep.parents import Candidate, Parents, holds
from orchestrator.sweep.settings import Layer, overlaid
from orchestrator.sweep.strict_yaml import Plain

SWEEP_AXIS = "sweep"
"""The axis that tells parents of several sweeps apart."""
NO_PARENTS = "of is missing; it says what is evaluated, as in of: {sweeps: [exp1.yaml]}"
SEEDS = "seeds are the parents' own in a sweep with task: evaluate; --seeds chooses among them"


def refuse_foreign(
    chain: Chain, layers: Sequence[Layer], blocks: Sequence[Block], faults: Faults
) -> None:
    """Note whatever is written that is none of the sweep's task."""
    task, of = chain.owner("task")[0].task, chain.owner("of")[0].of
    if task == "evaluate":
        _refuse_seeds(chain, faults)
        if of is None:
            faults.add(chain.place("task"), NO_PARENTS)
        if derive := chain.owner("derive")[0].derive:
            words = (
                f"derive has no use with task: evaluate ({', '.join(derive)}); write it under set"
            )
            faults.add(chain.place("derive"), words)
    elif of is not None:
        faults.add(chain.place("of"), "of belongs to a sweep with task: evaluate")
    written = [choice.layer for block in blocks for axis in block.axes for choice in axis.choices]
    for layer in (*layers, *written):
        for key, setting in layer.items():
            if problem := keys.foreign(key, task):
                faults.add(setting.place, problem)


def expand_children(blueprint: Blueprint, parents: Parents) -> tuple[Point, ...]:
    """A point for each parent and each choice of the blocks, those of a parent together.

    Raises:
        SpecError: with every fault, each once, and the line it comes from.
    """
    faults = Faults()
    drafts: dict[str, _Draft] = {}
    for block in blueprint.blocks:
        if problem := refuse_resources(block.resources.value, block.placement.value):
            faults.add(block.resources.place, problem)
        for parent in parents.jobs:
            for draft in _drafts(blueprint, block, parent, faults):
                drafts.setdefault(job_id(draft.config), draft)
    faults.refuse()
    if not drafts:
        raise SpecError(f"{blueprint.file}: where left no point of {len(parents.jobs)} parents")
    names = _names(drafts)
    several = len({job.sweep for job in parents.jobs}) > 1
    return tuple(draft.point(id_, names[id_], several=several) for id_, draft in drafts.items())


@dataclass(frozen=True, slots=True)
class _Draft:
    parent: Candidate
    config: EvaluateConfig
    axes: Mapping[str, Plain]
    """What the sweep itself varies."""
    block: Block

    @property
    def name(self) -> str:
        """That of its parent, the images, and the checkpoint where that is not plain."""
        at = self.config.checkpoint
        plain = at == "last" and "checkpoint" not in self.axes
        told = [] if plain else [f"epoch{at}" if isinstance(at, int) else at]
        return ",".join([self.parent.name, text_of(self.config.data.name), *told])

    def point(self, id_: str, name: str, *, several: bool) -> Point:
        """It, and on which axes it stands: its parent's, and those of its own sweep.

        A key of both is the sweep's, and the parent's is ``of.KEY``.
        """
        parent, own = self.parent, self.axes
        axes = {f"of.{key}" if key in own else key: at for key, at in parent.axes.items()}
        return Point(
            *(id_, self.config, form_of(self.config), name),
            {**({SWEEP_AXIS: parent.sweep} if several else {}), **axes, **own},
            self.block.placement.value,
            self.block.resources.value,
            Parent.of(self.config, f"{parent.sweep}/{parent.name}"),
            parent.config,
        )


def _names(drafts: Mapping[str, _Draft]) -> dict[str, str]:
    """By id: with the parent's sweep where parents of two are called alike, at last by id."""
    names = {id_: draft.name for id_, draft in drafts.items()}
    times = Counter(names.values())
    names = {
        id_: name if times[name] == 1 else f"{drafts[id_].parent.sweep}.{name}"
        for id_, name in names.items()
    }
    times = Counter(names.values())
    return {
        id_: name
        if times[name] == 1 and len(name) <= LONGEST
        else f"{name[: LONGEST - 13]},{id_[:12]}"
        for id_, name in names.items()
    }


def _refuse_seeds(chain: Chain, faults: Faults) -> None:
    for spec, document in chain.files:
        if "seeds" in spec.model_fields_set:
            faults.add(document.place(("seeds",)), SEEDS)
        for number, block in enumerate(spec.grid if "grid" in spec.model_fields_set else ()):
            if block.seeds:
                faults.add(document.place(("grid", number, "seeds")), SEEDS)


def _drafts(
    blueprint: Blueprint, block: Block, parent: Candidate, faults: Faults
) -> Iterator[_Draft]:
    own = dict.fromkeys(key for axis in block.axes for key in sorted(axis.touched()))
    for choices in product(*(axis.choices for axis in block.axes)):
        layer = blueprint.base
        for over in (*(choice.layer for choice in choices), *blueprint.overrides):
            layer = overlaid(layer, over)
        settings = nested({key: setting.value for key, setting in layer.items()})
        whole = {**parent.layer(blueprint.file), **layer}
        if not all(holds(where, whole, parent) for where in (block.where, blueprint.where)):
            continue
        try:
            config = EvaluateConfig.from_plain({"of": parent.id, "data": {}, **settings})
        except ValidationError as error:
            add_config_faults(faults, error, layer, file=blueprint.file, example="")
            return
        values: dict[str, Plain] = {"data.name": config.data.name, "checkpoint": config.checkpoint}
        yield _Draft(parent, config, {key: values[key] for key in own}, block)
