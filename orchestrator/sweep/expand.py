"""From a checked sweep to its points: plain values in, jobs with ids and names out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from orchestrator.config import (
    JobConfig,
    Placement,
    Resources,
    RunConfig,
    refuse_placement,
    refuse_resources,
)
from orchestrator.config.search import Asha
from orchestrator.errors import SpecError
from orchestrator.jobs.asha import rungs
from orchestrator.jobs.parents import Parent
from orchestrator.jobs.records import Form, form_of, id_of
from orchestrator.sweep import keys
from orchestrator.sweep.axes import CASE, Choice
from orchestrator.sweep.blame import add_config_faults
from orchestrator.sweep.conditions import Condition, Derivation, NoValue, look_up_in
from orchestrator.sweep.expressions import LookUp
from orchestrator.sweep.faults import Faults
from orchestrator.sweep.grid import Block
from orchestrator.sweep.names import text_of, unique_names
from orchestrator.sweep.packages import Packages
from orchestrator.sweep.settings import Layer, Setting, nested, overlaid
from orchestrator.sweep.strict_yaml import Place, Plain

MOST_POINTS = 100_000
ATTENTION = "model.attention"


@dataclass(frozen=True, slots=True)
class Source:
    """One file a sweep was read from."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Point:
    """One job of a sweep.

    Attributes:
        id: the job's id, see ``jobs.identity``.
        config: everything that decides its result.
        form: what its id stands for, see ``jobs.records``.
        name: readable, safe as a file name, unique within the sweep.
        axes: what distinguishes it: the value of each axis of its block as the configuration has
            it, then ``seed``. Of a group such as ``model.gate``: None, or those of its settings
            that the axis writes. Cases are the axis ``case``.
        placement: where and how it runs.
        resources: what it asks of a cluster.
        parent: the job that trains what it looks at, and that one's configuration.
        expect: what its sweep says is known of the model that it looks at.
    """

    id: str
    config: JobConfig
    form: Form
    name: str
    axes: Mapping[str, Plain]
    placement: Placement
    resources: Resources
    parent: Parent | None = None
    parent_config: RunConfig | None = None
    expect: str = ""

    @property
    def trained(self) -> RunConfig | None:
        """What its model is trained by: its own configuration, or its parent's; None: elsewhere."""
        return self.config if isinstance(self.config, RunConfig) else self.parent_config


@dataclass(frozen=True, slots=True)
class Notify:
    """A command that is told what happens to a sweep, and the folder in which it is run."""

    words: tuple[str, ...]
    folder: Path

    @property
    def program(self) -> Path | None:
        """Where its program has to be; None: wherever the PATH has it."""
        return self.folder / self.words[0] if "/" in self.words[0] else None


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep file, checked and expanded.

    Attributes:
        points: without duplicates, in the order of the file.
        packages: folders by name of the packages of the user's own that it lists.
        sources: the file itself, then every file it extends.
        overrides: ``key=value`` from the command line, as given.
    """

    name: str
    study: str
    question: str
    executor: str
    max_parallel: int | None
    max_failures: int | None
    points: tuple[Point, ...]
    packages: Mapping[str, Path]
    sources: tuple[Source, ...]
    overrides: tuple[str, ...]
    max_gpu_hours: float | None = None
    notify: Notify | None = None
    search: Asha | None = None
    """By which its jobs are stopped early, which then all train for the same number of epochs."""

    @property
    def rungs(self) -> tuple[int, ...]:
        """The epochs after which its search judges; none without one."""
        return rungs(self.search, self.epochs) if self.search else ()

    @property
    def epochs(self) -> int:
        """For how many the first of its jobs trains; 0: it trains nothing."""
        config = self.points[0].config
        return config.train.epochs if isinstance(config, RunConfig) else 0


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What points are made of.

    A base, the blocks laid over it, the command line over them, and what is derived of all that;
    ``where`` says which of the points are kept.
    """

    base: Layer
    blocks: tuple[Block, ...]
    overrides: tuple[Layer, ...]
    file: Place
    derivations: tuple[Derivation, ...] = ()
    where: Condition | None = None
    packages: Packages = field(default_factory=Packages)


def placed(sweep: Sweep, changes: Mapping[str, Plain]) -> Sweep:
    """The sweep with these settings in the placement of every point."""
    points = (
        replace(point, placement=point.placement.model_copy(update=changes))
        for point in sweep.points
    )
    return replace(sweep, points=tuple(points))


def expand(blueprint: Blueprint) -> tuple[Point, ...]:
    """The points of all blocks in order; the last axis is faster, seeds are fastest.

    A job that comes twice is kept where it came first, with its placement and resources.

    Raises:
        SpecError: with every fault of every point, each once, and the line it comes from.
    """
    _refuse_size(blueprint)
    faults = Faults()
    drafts: dict[str, _Draft] = {}
    sieve = _Sieve(blueprint.where)
    sieves = [(_Sieve(block.where), sieve) for block in blueprint.blocks]
    for block, both in zip(blueprint.blocks, sieves, strict=True):
        for draft in _drafts(blueprint, block, both, faults):
            drafts.setdefault(id_of(draft.form), draft)
    faults.refuse()
    for own, _ in [*sieves, (sieve, sieve)]:
        own.refuse_nothing(faults)
    faults.refuse()
    names = unique_names([(id_, draft.axes) for id_, draft in drafts.items()])
    for name, draft in zip(names, drafts.values(), strict=True):
        for place, problem in _misplaced(draft):
            faults.add(place, problem, f"point {name}")
    faults.refuse()
    return tuple(
        Point(
            id_,
            draft.config,
            draft.form,
            name,
            draft.axes,
            draft.block.placement.value,
            draft.block.resources.value,
        )
        for name, (id_, draft) in zip(names, drafts.items(), strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Draft:
    config: RunConfig
    form: Form
    axes: dict[str, Plain]
    block: Block


@dataclass(slots=True)
class _Sieve:
    """A condition, and how many points it was asked of and left."""

    condition: Condition | None
    asked: int = 0
    left: int = 0

    def keeps(self, look_up: LookUp) -> bool:
        self.asked += 1
        kept = self.condition is None or self.condition.holds(look_up)
        self.left += kept
        return kept

    def refuse_nothing(self, faults: Faults) -> None:
        if self.condition and self.asked and not self.left:
            problem = (
                f"{self.condition.key} left 0 of {self.asked} points; it holds at none of them"
            )
            faults.add(self.condition.place, problem)


def _drafts(
    blueprint: Blueprint, block: Block, sieves: tuple[_Sieve, ...], faults: Faults
) -> Iterator[_Draft]:
    for choices in product(*(axis.choices for axis in block.axes)):
        labels = {key: value for choice in choices for key, value in choice.labels.items()}
        for seed in block.seeds:
            layer = _layer(blueprint, choices, seed)
            try:
                for derivation in blueprint.derivations:
                    layer = derivation.over(layer, labels)
                names = look_up_in(layer, labels)
                kept = all(sieve.keeps(names) for sieve in sieves)
            except NoValue as error:
                # A setting that cannot be is told first: it may be why.
                if _checked(layer, blueprint.file, labels, faults):
                    faults.add(error.place, error.problem, _example(labels))
                break
            if not kept:
                continue
            config = _checked(layer, blueprint.file, labels, faults)
            if config is None:
                break
            if problem := blueprint.packages.refuse(config.model):
                faults.add(layer[ATTENTION].place, problem)
                break
            axes = {
                key: _axis_value(config, key, choice) for choice in choices for key in choice.labels
            }
            yield _Draft(config, form_of(config), {**axes, "seed": config.seed}, block)


def _checked(
    layer: Layer, file: Place, labels: Mapping[str, Plain], faults: Faults
) -> RunConfig | None:
    try:
        return RunConfig.from_plain(nested(layer))
    except ValidationError as error:
        add_config_faults(faults, error, layer, file=file, example=_example(labels))
        return None


def _example(labels: Mapping[str, Plain]) -> str:
    words = ",".join(f"{key}={text_of(value)}" for key, value in labels.items())
    return f"point {words}" if words else ""


def _misplaced(draft: _Draft) -> Iterator[tuple[Place, str]]:
    placement, resources = draft.block.placement, draft.block.resources
    if problem := refuse_placement(placement.value, draft.config.train):
        yield placement.place, problem
    if problem := refuse_resources(resources.value, placement.value):
        yield resources.place, problem


def _layer(blueprint: Blueprint, choices: tuple[Choice, ...], seed: int) -> Layer:
    layer = blueprint.base
    for choice in choices:
        layer = overlaid(layer, choice.layer)
    layer = overlaid(layer, {"seed": Setting(seed, blueprint.file)})
    for override in blueprint.overrides:
        layer = overlaid(layer, override)
    return layer


def _axis_value(config: RunConfig, key: str, choice: Choice) -> Plain:
    if key == CASE:
        return choice.labels[key]
    value = look_up(config, key)
    if value is None or key not in keys.SECTIONS:
        return value
    prefix = f"{key}."
    written = (name for name in choice.layer if name.startswith(prefix))
    return {name.removeprefix(prefix): look_up(config, name) for name in written}


def look_up(config: JobConfig, key: str) -> Plain:
    """What a configuration has under a dotted key."""
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part, None)
    return cast("Plain", value)


def _refuse_size(blueprint: Blueprint) -> None:
    points = sum(
        prod(len(axis.choices) for axis in block.axes) * len(block.seeds)
        for block in blueprint.blocks
    )
    if points > MOST_POINTS:
        raise SpecError(
            f"{blueprint.file}: the grid has {points} points; a sweep has at most {MOST_POINTS}"
        )
