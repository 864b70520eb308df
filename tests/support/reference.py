"""``docs/commands.md`` and ``docs/keys.md``: references that are made of the code."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from orchestrator.cli.main import cli
from orchestrator.executors import EXECUTORS
from orchestrator.sweep.schema import sweep_schema

Schema = Mapping[str, Any]
WIDTH = 100
SECTIONS = ("data", "model", "optim", "train", "probe", "evaluation", "analysis")
BOUNDS = {
    "minimum": "at least {:g}",
    "exclusiveMinimum": "above {:g}",
    "maximum": "at most {:g}",
    "exclusiveMaximum": "below {:g}",
}
REFERENCES = {
    "ParentsSpec": "see `of`",
    "Placement": "see `placement`",
    "Resources": "see `resources`",
    "settings": "settings: `data` to `seed`",
    "derive": "expressions by setting",
}
TYPES = {
    "string": "text",
    "number": "number",
    "integer": "whole number",
    "boolean": "true or false",
    "null": "null",
    "array": "list",
    "object": "mapping",
}
HEAD = (
    "# Keys of a sweep file\n\nMade of the types that sweep files are checked with; "
    "[sweeps.md](sweeps.md) says how they go together. Wherever a list of values may stand, "
    "`{range: [start, end, step]}` and `{logspace: [start, end, count]}` may, too."
)
TABLE = "| key | value | default | |\n|---|---|---|---|"


def commands() -> str:
    """What ``--help`` says of every verb."""
    with click.Context(cli, info_name="orchestrate", **cli.context_settings) as context:
        parts = [f"## {name}\n\n```text\n{text}\n```" for name, text in _helps(context)]
    return "\n\n".join(["# Commands\n\nWhat `--help` says of every verb.", *parts]) + "\n"


def _helps(context: click.Context) -> Iterator[tuple[str, str]]:
    context.terminal_width = WIDTH
    command = context.command
    lines = command.get_help(context).splitlines()
    yield context.command_path, "\n".join(line.rstrip() for line in lines)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            settings = found.context_settings
            yield from _helps(click.Context(found, context, name, **settings))


def keys() -> str:
    """Every key of a sweep file."""
    schema = sweep_schema(EXECUTORS)
    known = schema["$defs"]
    blocks = {
        key: part
        for key, part in known["BlockSpec"]["properties"].items()
        if key in ("cases", "zip", "where", "seeds", "placement", "resources")
    }
    tables = {
        "The file": schema["properties"],
        "A block of `grid`": blocks,
        "`of`": known["ParentsSpec"]["properties"],
        "`placement`: where and how a job runs": known["Placement"]["properties"],
        "`resources`: what a job asks of a cluster": known["Resources"]["properties"],
    }
    parts = [
        HEAD,
    ]
    parts += [_table(heading, rows) for heading, rows in tables.items()]
    for section in SECTIONS:
        rows = {key: part for key, part in known.items() if key.startswith(f"{section}.")}
        heading = f"`{section}`: part of what a job is"
        parts.append(_table(heading, rows, known[section].get("description", "")))
    single = {key: known[key] for key in ("seed", "task", "checkpoint")}
    parts.append(_table("Other settings", single))
    return "\n\n".join(parts) + "\n"


def _table(heading: str, rows: Schema, about: str = "") -> str:
    lines = [
        f"| `{key}` | {_kind(part)} | {_default(part)} | {_told(part.get('description', ''))} |"
        for key, part in rows.items()
    ]
    return "\n\n".join([f"## {heading}", *([about] if about else []), "\n".join([TABLE, *lines])])


def _kind(part: Schema) -> str:
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    if "const" in part:
        return f"`{part['const']}`"
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        return REFERENCES.get(name, name)
    if "anyOf" in part:
        kinds = dict.fromkeys(_kind(one) for one in part["anyOf"])
        return " or ".join(kind for kind in kinds if kind)
    types = part.get("type", ())
    words = " or ".join(TYPES[one] for one in ([types] if isinstance(types, str) else types))
    bounds = [text.format(part[bound]) for bound, text in BOUNDS.items() if bound in part]
    return ", ".join([words, *bounds])


def _default(part: Schema) -> str:
    return f"`{json.dumps(part['default'])}`" if "default" in part else ""


def _told(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
