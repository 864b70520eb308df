"""The points of a sweep of children, which evaluates or analyses what others have trained."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from pydantic import ValidationError

from orchestrator.config import CHILDREN, AnalyzeConfig, EvaluateConfig, refuse_resources
from orchestrator.errors import SpecError
from orchestrator.jobs.identity import job_id, nested
from orchestrator.jobs.parents import Parent
from orchestrator.jobs.records import form_of
from orchestrator.sweep import keys
from orchestrator.sweep.axes import CASE
from orchestrator.sweep.blame import add_config_faults
from orchestrator.sweep.chain import Chain
from orchestrator.sweep.conditions import Condition
from orchestrator.sweep.expand import Blueprint, Point, look_up
from orchestrator.sweep.faults import Faults
from orchestrator.sweep.grid import Block
from orchestrator.sweep.names import LONGEST, text_of
from orchestrator.sweep.parents import Candidate, Parents, holds
from orchestrator.sweep.settings import Layer, overlaid
from orchestrator.sweep.strict_yaml import Plain

SWEEP_AXIS = "sweep"
"""The axis that tells parents of several sweeps apart."""
DONE_TO_THEM = {"evaluate": "evaluated", "analyze": "analysed"}
"""What becomes of the models under ``of``, by task."""
NO_PARENTS = "of is missing; it says what is {done}, as in of: {{sweeps: [exp1.yaml]}}"
SEEDS = "seeds are the parents' own in a sweep with task: {task}; --seeds chooses among them"
NOT_OF_TIMM = "{key}: {name} is not known of timm's models; known are {known}"


def refuse_foreign(
    chain: Chain, layers: Sequence[Layer], blocks: Sequence[Block], faults: Faults
) -> None:
    """Note whatever is written that is none of the sweep's task."""
    task, of = chain.owner("task")[0].task, chain.owner("of")[0].of
    if task in CHILDREN:
        _refuse_seeds(chain, task, faults)
        if of is None:
            faults.add(chain.place("task"), NO_PARENTS.format(done=DONE_TO_THEM[task]))
        elif of.timm and task != "analyze":
            faults.add(chain.place("of"), f"of.timm has no use with task: {task}, but with analyze")
        if derive := chain.owner("derive")[0].derive:
            words = f"derive has no use with task: {task} ({', '.join(derive)}); write it under set"
            faults.add(chain.place("derive"), words)
    elif of is not None:
        tasks = " or ".join(CHILDREN)
        faults.add(chain.place("of"), f"of belongs to a sweep with task: {tasks}")
    written = [choice.layer for block in blocks for axis in block.axes for choice in axis.choices]
    for layer in (*layers, *written):
        for key, setting in layer.items():
            if problem := keys.foreign(key, task):
                faults.add(setting.place, problem)


def expand_children(blueprint: Blueprint, task: str, parents: Parents) -> tuple[Point, ...]:
    """A point for each model and each choice of the blocks, those of a model together.

    Raises:
        SpecError: with every fault, each once, and the line it comes from.
    """
    faults = Faults()
    drafts: dict[str, _Draft] = {}
    for block in blueprint.blocks:
        if problem := refuse_resources(block.resources.value, block.placement.value):
            faults.add(block.resources.place, problem)
        for parent in parents.jobs:
            if parent.config is None:
                _refuse_unknown((block.where, blueprint.where), faults)
                faults.refuse()
            for draft in _drafts(_Asked(blueprint, task, block, parent), faults):
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
    config: EvaluateConfig | AnalyzeConfig
    axes: Mapping[str, Plain]
    """What the sweep itself varies."""
    block: Block

    @property
    def name(self) -> str:
        """Its parent's, the images, the checkpoint where that is not plain, what else varies."""
        at = self.config.checkpoint
        plain = at == "last" and "checkpoint" not in self.axes
        told = [] if plain else [f"epoch{at}" if isinstance(at, int) else at]
        more = (key for key in self.axes if key not in ("data.name", "checkpoint"))
        told += [f"{key.rpartition('.')[2]}={text_of(self.axes[key])}" for key in more]
        return ",".join([self.parent.name, text_of(self.config.data.name), *told])

    def point(self, id_: str, name: str, *, several: bool) -> Point:
        """It, and on which axes it stands: its parent's, and those of its own sweep.

        A key of both is the sweep's, and the parent's is ``of.KEY``.
        """
        parent, own, config, needed = self.parent, self.axes, self.config, None
        if config.parent is not None:
            needed = Parent.of(config, f"{parent.sweep}/{parent.name}")
        axes = {f"of.{key}" if key in own else key: at for key, at in parent.axes.items()}
        return Point(
            *(id_, config, form_of(config), name),
            {**({SWEEP_AXIS: parent.sweep} if several else {}), **axes, **own},
            self.block.placement.value,
            self.block.resources.value,
            needed,
            parent.config,
            parent.expect,
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


def _refuse_seeds(chain: Chain, task: str, faults: Faults) -> None:
    words = SEEDS.format(task=task)
    for spec, document in chain.files:
        if "seeds" in spec.model_fields_set:
            faults.add(document.place(("seeds",)), words)
        for number, block in enumerate(spec.grid if "grid" in spec.model_fields_set else ()):
            if block.seeds:
                faults.add(document.place(("grid", number, "seeds")), words)


def _refuse_unknown(conditions: Sequence[Condition | None], faults: Faults) -> None:
    """Note what conditions ask of a model that none of our settings has made."""
    known = (*keys.OF_CHILDREN["analyze"], CASE)
    for one in conditions:
        for name in one.expression.names if one else ():
            if one and name not in known:
                words = NOT_OF_TIMM.format(key=one.key, name=name, known=", ".join(known))
                faults.add(one.place, words)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One block of a sweep, and one of the models that it is asked of."""

    blueprint: Blueprint
    task: str
    block: Block
    parent: Candidate

    def keeps(self, layer: Layer) -> bool:
        """Whether the conditions hold, where what is not set is as the parent has it."""
        whole = {**self.parent.layer(self.blueprint.file), **layer}
        wheres = (self.block.where, self.blueprint.where)
        return all(holds(where, whole, self.parent) for where in wheres)


def _drafts(asked: _Asked, faults: Faults) -> Iterator[_Draft]:
    blueprint, block, parent = asked.blueprint, asked.block, asked.parent
    own = dict.fromkeys(key for axis in block.axes for key in sorted(axis.touched()))
    for choices in product(*(axis.choices for axis in block.axes)):
        layer = blueprint.base
        for over in (*(choice.layer for choice in choices), *blueprint.overrides):
            layer = overlaid(layer, over)
        if not asked.keeps(layer):
            continue
        settings = nested({key: setting.value for key, setting in layer.items()})
        try:
            config = CHILDREN[asked.task].from_plain({"of": parent.of, "data": {}, **settings})
        except ValidationError as error:
            add_config_faults(faults, error, layer, file=blueprint.file, example="")
            return
        yield _Draft(parent, config, {key: look_up(config, key) for key in own}, block)
