"""``docs/json.md``: every document's keys, made of the schemas."""

from collections.abc import Iterator
from typing import Any

from orchestrator.documents.registry import DOCUMENTS, WITHOUT, schema_of

Schema = dict[str, Any]
HEAD = """# What `--json` prints

Made of the types in `orchestrator/documents/`. Every document has `"schema": 1`: that number is
raised when a key goes or changes its meaning; a key may come at any time.
`orchestrate schema --json VERB` prints the JSON Schema of what this version prints, which refuses
any other key (`orchestrate schema --json 'data inspect'` for a verb of two words). A number that is
not finite is the text `nan`, `inf` or `-inf`. Warnings that belong to a document stand in it; an
error is a line on the error stream, with an [exit code](design.md#json-of-the-command-line).
"""
STATE = {"$ref": "#/$defs/State"}
WORDS = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
}


def page() -> str:
    """The whole page."""
    verbs: dict[type, list[str]] = {}
    for verb, kind in DOCUMENTS.items():
        verbs.setdefault(kind, []).append(verb)
    parts = [_part(names) for names in verbs.values()]
    without = [f"| `{verb}` | {why} |" for verb, why in WITHOUT.items()]
    tail = "\n".join(["## Verbs without `--json`", "", "| | |", "|---|---|", *without])
    return "\n".join([HEAD, *parts, tail, ""])


def _part(verbs: list[str]) -> str:
    schema = schema_of(verbs[0])
    rows = [f"| `{key}` | {kind} | {what} |" for key, kind, what in _rows(schema, schema, "")]
    table = ["| key | value | |", "|---|---|---|", *rows]
    heading = f"## {', '.join(f'`{verb}`' for verb in verbs)}"
    return "\n".join([heading, "", schema["description"], "", *table, ""])


def _rows(owner: Schema, whole: Schema, prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, part in owner.get("properties", {}).items():
        if not prefix and name == "schema":
            continue
        path, below = f"{prefix}{name}", _object(part, whole)
        what = part.get("description", "") or (below or {}).get("description", "")
        sometimes = "" if name in owner.get("required", ()) else " (may be missing)"
        yield path, _kind(part, whole) + sometimes, what
        if below:
            yield from _rows(below, whole, f"{path}{_brackets(part)}.")


def _object(part: Schema, whole: Schema) -> Schema | None:
    """The object that a value is, or a list of these."""
    for one in (part, part.get("items", {}), *part.get("anyOf", ())):
        if "$ref" in one:
            found: Schema = whole["$defs"][one["$ref"].rpartition("/")[2]]
            return found if "properties" in found else None
    return None


def _brackets(part: Schema) -> str:
    return "[]" if part.get("type") == "array" else ""


def _kind(part: Schema, whole: Schema) -> str:
    """The type of a value in words."""
    if "$ref" in part:
        return "a [state](design.md#states)" if part == STATE else "object"
    if "anyOf" in part:
        return " or ".join(_kind(one, whole) for one in part["anyOf"])
    if "enum" in part:
        return _choices(part)
    if part.get("type") == "array":
        items = _kind(part.get("items", {}), whole)
        return "list" if items == "any" else f"list of {items}"
    if part.get("type") == "object":
        values = part.get("additionalProperties", True)
        by = "by state: " if part.get("propertyNames") == STATE else "by name: "
        return "object" if values is True else f"{by}{_kind(values, whole)}"
    return WORDS.get(part.get("type", ""), "any")


def _choices(part: Schema) -> str:
    return ", ".join(f"`{choice}`" for choice in part["enum"])
