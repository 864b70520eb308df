"""What a sweep computes of each point: whether it belongs (``where``), and derived settings."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import cast

from orchestrator.errors import SpecError
from orchestrator.sweep import keys
from orchestrator.sweep.axes import CASE, Axis
from orchestrator.sweep.chain import Chain
from orchestrator.sweep.expressions import Expression, ExpressionError, LookUp, parse
from orchestrator.sweep.faults import Faults, spelled
from orchestrator.sweep.operators import Value
from orchestrator.sweep.settings import (
    SEED,
    Layer,
    Setting,
    layer_of,
    overlaid,
    value_at,
)
from orchestrator.sweep.strict_yaml import Document, KeyPath, Place, Plain


class NoValue(SpecError):  # noqa: N818 - what is said of a point
    """An expression has no value at a point; ``problem`` says why, ``place`` where it stands."""

    def __init__(self, place: Place, problem: str) -> None:
        super().__init__(f"{place}: {problem}")
        self.place, self.problem = place, problem


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression that a point must fulfil; ``key`` is what it stands under."""

    key: str
    expression: Expression
    place: Place

    def holds(self, look_up: LookUp) -> bool:
        """Whether the point fulfils it.

        Raises:
            NoValue: that cannot be told.
        """
        try:
            return self.expression.holds(look_up)
        except ExpressionError as error:
            raise NoValue(self.place, f"{self.key}: {error}") from None


@dataclass(frozen=True, slots=True)
class Derivation:
    """A setting that an expression gives."""

    key: str
    expression: Expression
    place: Place

    def over(self, layer: Layer, labels: Mapping[str, Plain]) -> Layer:
        """``layer`` with the setting over it; as it is where the setting's group is null.

        Raises:
            NoValue: the expression has none at this point.
        """
        groups = keys.NULLABLE_SECTIONS.intersection(keys.ancestors(self.key))
        if any(value_at(layer, group) is None for group in groups):
            return layer
        try:
            value = self.expression.value(look_up_in(layer, labels))
        except ExpressionError as error:
            raise NoValue(self.place, f"derive.{self.key}: {error}") from None
        return overlaid(layer, {self.key: Setting(_plain(value), self.place)})


def refuse_name(name: str) -> str | None:
    """Why an expression cannot read ``name``, or None if it can.

    It can read every single setting, ``case``, and of a group that may be null whether it is.
    """
    if name in keys.SECTIONS - keys.NULLABLE_SECTIONS:
        example = next(key for key in keys.LEAVES if key.startswith(f"{name}."))
        return f"{name} is a group of settings; name one of them, such as {example}"
    return keys.unknown_setting(name, CASE)


def look_up_in(layer: Layer, labels: Mapping[str, Plain]) -> LookUp:
    """What names mean at the point that ``layer`` makes; ``labels`` has the name of its case."""

    def look_up(name: str) -> Value:
        found = labels.get(name) if name == CASE else value_at(layer, name)
        return cast("Value", tuple(found) if isinstance(found, list) else found)

    return look_up


def read_condition(
    text: str | None, document: Document, path: KeyPath, faults: Faults
) -> Condition | None:
    """The condition written at ``path``, if there is one."""
    if text is None:
        return None
    key, place = spelled(path), document.place(path)
    expression = _parsed(text, place, key, faults)
    return Condition(key, expression, place) if expression else None


def read_derivations(chain: Chain, faults: Faults) -> tuple[Derivation, ...]:
    """The derivations of a sweep, in the order of the file; each may read those above it."""
    spec, document = chain.owner("derive")
    found: list[Derivation] = []
    for key, setting in layer_of(spec.derive, document, ("derive",), faults).items():
        text, place = setting.value, setting.place
        if key == "seed":
            faults.add(place, SEED)
        elif not isinstance(text, str):
            faults.add(place, f"derive.{key} must be an expression; write a value under set")
        elif expression := _parsed(text, place, f"derive.{key}", faults):
            found.append(Derivation(key, expression, place))
    for number, one in enumerate(found):
        for later in found[number + 1 :]:
            if later.key in one.expression.names:
                faults.add(
                    one.place,
                    f"derive.{one.key} reads {later.key}, which is derived below it; write "
                    f"{later.key} first",
                )
    return tuple(found)


def refuse_shadowed(
    derivations: Collection[Derivation],
    axes: Collection[Axis],
    overrides: Collection[Layer],
    faults: Faults,
) -> None:
    """Note settings of axes and of the command line that a derivation replaces unread."""
    replaced = {d.key: d for d in derivations if d.key not in d.expression.names}
    layers = [choice.layer for axis in axes for choice in axis.choices]
    for layer in (*layers, *overrides):
        for key in layer.keys() & replaced.keys():
            problem = f"{key} has no effect here: it is derived at {replaced[key].place}"
            faults.add(layer[key].place, problem)


def _parsed(text: str, place: Place, key: str, faults: Faults) -> Expression | None:
    try:
        return parse(text, refuse_name)
    except ExpressionError as error:
        faults.add(place, f"{key}: {error}")
        return None


def _plain(value: Value) -> Plain:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
