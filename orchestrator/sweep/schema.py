"""The JSON Schema of a sweep file, for editors: made of the types that the loader checks with.

It knows every key, type, choice and bound, and what each is for. What depends on several settings,
on other files or on expressions only the loader can tell.
"""

import inspect
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from model.config import GateConfig, ViTConfig
from model.variants import VARIANTS
from orchestrator.config import CHILDREN, RunConfig
from orchestrator.sweep import keys
from orchestrator.sweep.spec import BlockSpec, SweepSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BLOCK = BlockSpec.__name__
OWN_ROW = r"^\w+\.\w+$"
_KEYS = sorted((*keys.LEAVES, *keys.SECTIONS))

Schema = dict[str, Any]


def sweep_schema(executors: Collection[str]) -> Schema:
    """The schema of one file; ``executors`` are the names of those there are."""
    written = _tidied(SweepSpec.model_json_schema())
    fields, definitions = written["properties"], written.pop("$defs")
    block, placement = definitions[BLOCK]["properties"], definitions["Placement"]["properties"]
    settings = _settings()
    fields["executor"]["enum"] = sorted(executors)
    fields["set"] = _described(fields["set"], _reference("settings"))
    fields["derive"] = _described(fields["derive"], _reference("derive"))
    for owner, key in ((fields, "seeds"), (block, "seeds"), (placement, "keep_epochs")):
        owner[key] = _list_or_range(owner[key])
    definitions[BLOCK] |= _axes(block, settings)
    head = {"$schema": DIALECT, "title": "A sweep"}
    return {**head, **written, "$defs": {**definitions, **_RANGES, **settings, **_derivations()}}


def _axes(block: Schema, settings: Mapping[str, Schema]) -> Schema:
    """The keys of a block, given those that are no axes; ``zip`` has all that are."""
    axes = {key: _axis(key, settings[key]) for key in _KEYS if key != "seed"}
    walked = {key: _reference(f"{BLOCK}/properties/zip/properties/{key}") for key in axes}
    (name,) = block["cases"]["patternProperties"]
    named = {"patternProperties": {name: _reference("settings")}, "additionalProperties": False}
    zipped = {"properties": axes, "additionalProperties": False}
    parts = {"cases": {**block["cases"], **named}, "zip": {**block["zip"], **zipped}}
    return {"properties": {**block, **parts, **walked}, "additionalProperties": False}


_RANGES: Mapping[str, Schema] = {
    "range": {
        "description": "From start by step as far as end, which is the last if a step meets it.",
        "type": "object",
        "properties": {
            "range": {
                "description": "[start, end, step]",
                "type": "array",
                "items": {"type": "number"},
                "minItems": 3,
                "maxItems": 3,
            }
        },
        "required": ["range"],
        "additionalProperties": False,
    },
    "logspace": {
        "description": "So many numbers from start to end, each the same multiple of the last.",
        "type": "object",
        "properties": {
            "logspace": {
                "description": "[start, end, count]",
                "type": "array",
                "prefixItems": [
                    {"type": "number", "exclusiveMinimum": 0},
                    {"type": "number", "exclusiveMinimum": 0},
                    {"type": "integer", "minimum": 2},
                ],
                "minItems": 3,
                "maxItems": 3,
            }
        },
        "required": ["logspace"],
        "additionalProperties": False,
    },
}


def _settings() -> dict[str, Schema]:
    """A definition for every key of a configuration, and ``settings`` for all of them."""
    found = dict(_walk(_tidied(RunConfig.model_json_schema())))
    for kind in CHILDREN.values():
        own = dict(_walk(_tidied(kind.model_json_schema())))
        found |= {key: own[key] for key in own if key in keys.OF_CHILDREN_ALONE}
    found["model.attention"]["anyOf"] = [{"enum": list(VARIANTS)}, {"pattern": OWN_ROW}]
    groups = {key: {**found.pop(key), **_group(key)} for key in sorted(keys.SECTIONS)}
    for key in keys.NULLABLE_SECTIONS:
        groups[key]["type"] = ["object", "null"]
    return {"settings": _group(""), **found, **groups}


def _walk(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Every key under a pydantic model's schema, groups before what they hold."""
    definitions = schema["$defs"]

    def below(owner: Schema, prefix: str) -> Iterator[tuple[str, Schema]]:
        for name, part in owner["properties"].items():
            references = [one.get("$ref") for one in (part, *part.get("anyOf", ()))]
            group = next((ref.rpartition("/")[2] for ref in references if ref), None)
            if group:
                yield f"{prefix}{name}", {"description": definitions[group]["description"]}
                yield from below(definitions[group], f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}", part

    return below(schema, "")


def _group(key: str) -> Schema:
    """A mapping of what belongs to a group, dotted or nested."""
    prefix = f"{key}." if key else ""
    below = [one for one in _KEYS if one.startswith(prefix)]
    properties = {one.removeprefix(prefix): _reference(one) for one in below}
    properties.pop("seed", None)  # seeds are listed
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _derivations() -> dict[str, Schema]:
    """``derive``, with an expression for each setting, and a definition for each group of them."""
    expression = {"type": "string", "minLength": 1, "description": "An expression."}
    found = {}
    for key in ("", *sorted(keys.SECTIONS)):
        group = _group(key)
        prefix = f"{key}." if key else ""
        group["properties"] = {
            name: _reference(f"derive.{prefix}{name}")
            if prefix + name in keys.SECTIONS
            else expression
            for name in group["properties"]
        }
        found[f"derive.{key}".rstrip(".")] = group
    return found


def _axis(key: str, setting: Schema) -> Schema:
    listed = {"type": "array", "items": _reference(key), "minItems": 1}
    kinds = [part.get("type") for part in (setting, *setting.get("anyOf", ()))]
    ranges = _RANGES if "integer" in kinds or "number" in kinds else ()
    return _described(setting, {"anyOf": [listed, *map(_reference, ranges)]})


def _list_or_range(listed: Schema) -> Schema:
    return _described(listed, {"anyOf": [listed, _reference("range")]})


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _described(old: Schema, new: Schema) -> Schema:
    return {key: old[key] for key in ("description",) if key in old} | new


def _tidied(schema: Schema) -> Schema:
    """Pydantic's schema without its titles, with what the docstrings say of each field."""
    for kind in (ViTConfig, GateConfig):
        if owner := schema.get("$defs", {}).get(kind.__name__):
            for name, words in _attributes(kind):
                owner["properties"][name]["description"] = words
    tidied: Schema = _plainer(schema)
    return tidied


def _attributes(kind: type) -> Iterator[tuple[str, str]]:
    """Name and description of each entry under ``Attributes:`` of a docstring."""
    entries = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2]
    for found in re.finditer(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", entries, re.MULTILINE):
        yield found[1], found[2]


def _plainer(part: Any) -> Any:
    if isinstance(part, list):
        return [_plainer(item) for item in part]
    if not isinstance(part, dict):
        return part
    made = {key: _plainer(value) for key, value in part.items() if not _is_title(key, value)}
    if isinstance(words := made.get("description"), str):
        first = words.partition("\n\nAttributes:")[0]
        made["description"] = " ".join(first.replace("``", "`").split())
    return made


def _is_title(key: str, value: object) -> bool:
    return key == "title" and isinstance(value, str)
