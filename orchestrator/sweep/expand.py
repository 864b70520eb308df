"""From a checked sweep to its points: plain values in, jobs with ids and names out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from orchestrator.config import Placement, Resources, RunConfig, refuse_placement, refuse_resources
from orchestrator.errors import SpecError
from orchestrator.jobs.records import Form, form_of, id_of
from orchestrator.sweep import keys
from orchestrator.sweep.blame import add_config_faults
from orchestrator.sweep.faults import Faults
from orchestrator.sweep.grid import CASE, Axis, Block, Choice
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
    """

    id: str
    config: RunConfig
    form: Form
    name: str
    axes: Mapping[str, Plain]
    placement: Placement
    resources: Resources


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


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What points are made of: a base, the blocks laid over it, the command line over all."""

    base: Layer
    blocks: tuple[Block, ...]
    overrides: tuple[Layer, ...]
    file: Place
    packages: Packages = field(default_factory=Packages)


def expand(blueprint: Blueprint) -> tuple[Point, ...]:
    """The points of all blocks in order; the last axis is faster, seeds are fastest.

    A job that comes twice is kept where it came first, with its placement and resources.

    Raises:
        SpecError: with every fault of every point, each once, and the line it comes from.
    """
    _refuse_size(blueprint)
    faults = Faults()
    drafts: dict[str, _Draft] = {}
    for block in blueprint.blocks:
        for draft in _drafts(blueprint, block, faults):
            drafts.setdefault(id_of(draft.form), draft)
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


def _drafts(blueprint: Blueprint, block: Block, faults: Faults) -> Iterator[_Draft]:
    for choices in product(*(axis.choices for axis in block.axes)):
        picked = list(zip(block.axes, choices, strict=True))
        for seed in block.seeds:
            layer = _layer(blueprint, choices, seed)
            try:
                config = RunConfig.from_plain(nested(layer))
            except ValidationError as error:
                words = [f"{axis.key}={text_of(choice.value)}" for axis, choice in picked]
                example = f"point {','.join(words)}" if words else ""
                add_config_faults(faults, error, layer, file=blueprint.file, example=example)
                break
            if problem := blueprint.packages.refuse(config.model):
                faults.add(layer[ATTENTION].place, problem)
                break
            axes = {axis.key: _axis_value(config, axis, choice) for axis, choice in picked}
            yield _Draft(config, form_of(config), {**axes, "seed": config.seed}, block)


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


def _axis_value(config: RunConfig, axis: Axis, choice: Choice) -> Plain:
    if axis.key == CASE:
        return choice.value
    value = _look_up(config, axis.key)
    if value is None or axis.key not in keys.SECTIONS:
        return value
    prefix = f"{axis.key}."
    written = (key for key in choice.layer if key.startswith(prefix))
    return {key.removeprefix(prefix): _look_up(config, key) for key in written}


def _look_up(config: RunConfig, key: str) -> Plain:
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
