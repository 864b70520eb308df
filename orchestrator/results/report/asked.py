"""What a sweep asked, as its file said when it was launched, and the words that launch it again."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import yaml

from orchestrator.results.report.study import Asked

DATA = re.compile(r"\s+orchestrate data (prepare|adopt)\b")
SWEEPS = "sweeps"
"""The folder of sweep files, from which their paths are told."""


def asked_of(
    revision: Mapping[str, Any], states: Mapping[str, int], launched: float | None
) -> Asked:
    """A sweep by its stored revision; ``states`` and ``launched`` as `Asked` has them."""
    comments = _comments(revision.get("sources", ()), revision["question"])
    return Asked(
        name=revision["name"],
        question=revision["question"] or "",
        comments=comments,
        prepared=_prepared(comments),
        states=states,
        launched=launched,
        command=_command(revision),
        removes=any(_removes(job) for job in revision["jobs"]),
    )


def _comments(sources: Sequence[Mapping[str, Any]], question: str | None) -> list[tuple[str, str]]:
    """The heads of the sweep's own file and of those that ask its question, own first."""
    told = []
    for place, source in enumerate(sources):
        text = source.get("text") or ""
        if (place == 0 or _asks(text, question)) and (head := head_of(text)):
            told.append((PurePath(source["path"]).name, head))
    return told


def _prepared(comments: Sequence[tuple[str, str]]) -> list[str]:
    """The command lines that prepare data, in the first comment that has any: the sweep's own."""
    found = (
        [line.strip() for line in text.splitlines() if DATA.match(line)] for _, text in comments
    )
    return next((lines for lines in found if lines), [])


def _asks(text: str, question: str | None) -> bool:
    """Whether a sweep file asks this question."""
    try:
        said = yaml.safe_load(text)
    except yaml.YAMLError:
        return False
    return isinstance(said, dict) and question is not None and said.get("question") == question


def head_of(text: str) -> str:
    """The comment at the top of a file, without its signs."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return "\n".join(lines).strip("\n")


def _removes(job: Mapping[str, Any]) -> bool:
    """Whether it is of an arm with registers or a gate."""
    form = (job.get("form") or {}).get("reduced", {})
    return bool(form.get("model.registers")) or any(key.startswith("model.gate") for key in form)


def _command(revision: Mapping[str, Any]) -> list[str]:
    """The launch of the same points: with overrides, and with seeds where they may be told."""
    path = PurePath(revision["sources"][0]["path"]) if revision.get("sources") else PurePath("?")
    parts = path.parts
    start = len(parts) - 1 - parts[::-1].index(SWEEPS) if SWEEPS in parts else len(parts) - 1
    words = ["orchestrate", "launch", str(PurePath(*parts[start:]))]
    for override in revision.get("overrides", ()):
        words += ["--set", str(override)]
    seeds = _seeds(revision["jobs"])
    return [*words, "--seeds", ",".join(map(str, seeds))] if seeds else words


def _seeds(jobs: Sequence[Mapping[str, Any]]) -> list[int]:
    """The seeds that give these points; empty where they are the file's own.

    ``--seeds`` takes the place of all seeds of a file: points that differ in theirs were launched
    without. Where parents are evaluated it chooses among them, and all that occur are told.
    """
    by_point: dict[str, set[int]] = {}
    evaluates = False
    for job in jobs:
        axes = dict(job.get("axes") or {})
        seed = axes.pop("seed", None)
        if seed is None:
            return []
        evaluates |= "of" in (job.get("form") or {}).get("reduced", {})
        by_point.setdefault(repr(sorted(axes.items(), key=repr)), set()).add(seed)
    if evaluates:
        return sorted(set().union(*by_point.values()))
    sets = {tuple(sorted(seeds)) for seeds in by_point.values()}
    return list(sets.pop()) if len(sets) == 1 else []
