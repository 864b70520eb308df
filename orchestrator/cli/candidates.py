"""What may stand at a place of the command line, looked up for a shell that completes a word."""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from orchestrator.jobs.layout import Root

STATES = (
    "RUNNING",
    "QUEUED",
    "FAILED",
    "PREEMPTED",
    "UNKNOWN",
    "STOPPED",
    "CANCELLED",
    "PLANNED",
    "DONE",
)
ENOUGH = 1000
"""Nobody reads more."""
JOBS_LOOKED_AT = 5
"""For the metrics of a sweep; its jobs measure alike."""
TAIL = 65536
"""Bytes of a journal's end that are read."""
Find = Callable[[click.Context, str], Iterable[str]]
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]


def completed_by(find: Find) -> Complete:
    """As click asks for it: those that begin as what was typed; none where anything is wrong."""

    def complete(
        context: click.Context, _: click.Parameter, typed: str
    ) -> list[CompletionItem[str]]:
        try:
            fitting = (word for word in find(context, typed) if word.startswith(typed))
            return [CompletionItem(word) for word in islice(dict.fromkeys(fitting), ENOUGH)]
        except Exception:  # noqa: BLE001 - a message would land in the middle of a typed line
            return []

    return complete


def sweep_files(_: click.Context, typed: str) -> Iterator[str]:
    """Sweep files here and one folder below, and folders."""
    folder = typed[: typed.rfind("/") + 1]
    for path in sorted(Path(folder or ".").expanduser().iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            yield f"{folder}{path.name}/"
            yield from (
                f"{folder}{path.name}/{below.name}" for below in sorted(path.glob("*.yaml"))
            )
        elif path.suffix in {".yaml", ".yml"}:
            yield f"{folder}{path.name}"


def studies(context: click.Context, _: str) -> Iterator[str]:
    """Studies and sweeps."""
    root = _root(context)
    yield from root.sweep_names()
    yield from (str(_newest(root, sweep)["study"]) for sweep in root.sweep_names())


def jobs(context: click.Context, typed: str) -> Iterator[str]:
    """Sweeps as folders of their points; once something is typed also points and ids of jobs."""
    root = _root(context)
    sweep, slash, _ = typed.partition("/")
    if slash:
        yield from (f"{sweep}/{job['name']}" for job in _newest(root, sweep)["jobs"])
        return
    yield from (f"{name}/" for name in root.sweep_names())
    if typed:
        listed = [job for name in root.sweep_names() for job in _newest(root, name)["jobs"]]
        yield from (job["name"] for job in listed)
        yield from (job["id"][: max(8, len(typed))] for job in listed)


def studies_and_jobs(context: click.Context, typed: str) -> Iterator[str]:
    yield from studies(context, typed)
    yield from jobs(context, typed)


def settings(_: click.Context, __: str) -> Iterator[str]:
    """Keys of a configuration, as ``--set`` has them."""
    from orchestrator.sweep.keys import LEAVES

    yield from (f"{key}=" for key in LEAVES)


def axes(context: click.Context, _: str) -> Iterator[str]:
    """Axes of the sweep that was named, the seed among them."""
    for job in _newest(_root(context), _sweep(context))["jobs"]:
        yield from job["axes"]


def metrics(context: click.Context, _: str) -> Iterator[str]:
    """What jobs of the sweep that was named have measured."""
    root = _root(context)
    folders = (root.job(job["id"]) for job in _newest(root, _sweep(context))["jobs"])
    journals = (
        folder.attempt(number).journal for folder in folders for number in folder.attempt_numbers()
    )
    found = {name for path in islice(journals, JOBS_LOOKED_AT) for name in _measured(path)}
    yield from sorted(found)


def conditions(_: click.Context, __: str) -> Iterator[str]:
    """The commonest conditions, which ask for a state."""
    yield from (f'state=="{state}"' for state in STATES)


def executors(_: click.Context, __: str) -> Iterator[str]:
    from orchestrator.executors import EXECUTORS

    yield from EXECUTORS


def datasets(context: click.Context, _: str) -> Iterator[str]:
    data = context.params.get("data_root")
    if data is None:
        from orchestrator.jobs.located import locate_data

        data = locate_data(None)
    yield from sorted(path.parent.name for path in Path(data).glob("*/manifest.json"))


def documents(_: click.Context, __: str) -> Iterator[str]:
    """Verbs that print a document."""
    from orchestrator.documents.registry import DOCUMENTS

    yield from DOCUMENTS


def _root(context: click.Context) -> "Root":
    from orchestrator.jobs.layout import Root
    from orchestrator.jobs.located import locate_root

    return Root(context.params.get("root_path") or locate_root(None))


def _sweep(context: click.Context) -> str:
    """The first that the verb was given; click is not so far where an option lacks its value."""
    named = context.params.get("sweep") or (context.params.get("sweeps") or context.args)[0]
    return str(named)


def _newest(root: "Root", sweep: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(root.revisions(sweep)[-1].read_bytes())
    return found


def _measured(journal: Path) -> Iterator[str]:
    """Names of metrics at the end of a journal, of which the last line may be half written."""
    with journal.open("rb") as file:
        file.seek(max(0, journal.stat().st_size - TAIL))
        lines = file.read().splitlines()
    for line in lines[1:]:
        if line.endswith(b"}"):
            yield from json.loads(line).get("m", {})
