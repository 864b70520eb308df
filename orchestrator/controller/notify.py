"""Telling a sweep's command what has happened: a fact on disk first, then the command, once."""

import json
import logging
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.config import ClusterProfile
from orchestrator.controller.breaker import Limits
from orchestrator.controller.events import NEXT, Scene, news
from orchestrator.controller.spent import spent
from orchestrator.controller.survey import Survey
from orchestrator.errors import RootError
from orchestrator.jobs.events import Event, mark_told, publish_event, read_events, untold
from orchestrator.jobs.layout import Root
from orchestrator.jobs.lease import leased
from orchestrator.jobs.store import is_imported, newest_revision
from orchestrator.sweep.expand import Sweep

SCHEMA = 1
LIMIT_S = 30.0
"""A command that takes longer is killed, with all that it started in its process group."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Command:
    """What is run, and where."""

    words: Sequence[str]
    folder: Path

    @classmethod
    def of_revision(cls, root: Root, revision: Mapping[str, Any]) -> "Command | None":
        """The sweep's own, else that of its cluster's profile; None: nobody is to be told."""
        if own := revision.get("notify"):
            return cls(own["command"], Path(own["folder"]))
        words = (revision.get("cluster") or {}).get("notify")
        return cls(words, root.path) if words else None


def notify(root: Root, sweep: str, found: Survey, *, settled: bool) -> None:
    """Write down what this look shows to have happened to a sweep, and tell its command.

    A command that fails, or cannot be told, costs a line of warning.

    Raises:
        BusyError: somebody else is telling it at this moment.
    """
    newest = newest_revision(root, sweep)
    if newest is None or is_imported(root, sweep):
        return
    number, revision = newest
    command = Command.of_revision(root, revision)
    if command is None:
        return
    scene = Scene(
        sweep=sweep,
        study=revision.get("study", sweep),
        revision=number,
        limits=Limits.of_revision(revision),
        found=found,
        gpu_hours=spent(found).gpu_hours,
        settled=settled,
    )
    try:
        _write_down(root, scene)
        if untold(root, sweep):
            _tell(root, sweep, command)
    except (OSError, RootError) as error:
        logger.warning("notify of %s: %s", sweep, error)


def told_of_missing_program(sweep: Sweep, cluster: ClusterProfile | None) -> list[str]:
    """A warning if the command's program is not on this machine; elsewhere it may be."""
    own = sweep.notify
    words = own.words if own else (cluster.notify if cluster else None)
    if not words or shutil.which(own.program or words[0] if own else words[0]):
        return []
    return [f"notify: there is no program {words[0]} on this machine; whoever watches needs it"]


def _write_down(root: Root, scene: Scene) -> None:
    """Each event gets the next number, which only one of several watches can take.

    The others look again at what is known.
    """
    while True:
        known = read_events(root, scene.sweep)
        fresh = news(scene, [*known.values()])
        if not fresh:
            return
        publish_event(root, max(known, default=0) + 1, fresh[0])


def _tell(root: Root, sweep: str, command: Command) -> None:
    """Run the command for each event that it was not told of.

    The mark is made after that: whoever is killed in between leaves it to the next to tell it once
    more, rather than to nobody.

    Raises:
        BusyError: somebody else is at it.
    """
    with leased(root.notify_lease(sweep), "notify", wait_s=0):
        for number, event in untold(root, sweep).items():
            began = time.monotonic()
            trouble = _run(command, root, number, event)
            mark_told(
                root,
                sweep,
                number,
                {"seconds": round(time.monotonic() - began, 3), "trouble": trouble},
            )
            if trouble:
                name, log = shlex.join(command.words), root.notify_log(sweep)
                logger.warning("notify of %s: %s %s. See: %s", sweep, name, trouble, log)


def _run(command: Command, root: Root, number: int, event: Event) -> str:
    """Tell it; what went wrong, or nothing."""
    told = to_tell(root, number, event)
    about = {"EVENT": event.event, "SWEEP": event.sweep, "MESSAGE": event.message}
    named = {f"ORCHESTRATE_{name}": value for name, value in about.items()}
    with root.notify_log(event.sweep).open("ab") as log:
        when = time.strftime("%Y-%m-%d %H:%M:%S")
        log.write(f"-- {when} event {number}, {event.event}: {event.message}\n".encode())
        log.flush()
        try:
            process = subprocess.Popen(
                command.words,
                cwd=command.folder if command.folder.is_dir() else root.path,
                env={**os.environ, **named, "ORCHESTRATE_ROOT": str(root.path)},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        try:
            process.communicate(json.dumps(told).encode() + b"\n", timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            _kill(process)
            return f"took more than {LIMIT_S:g} s and was killed"
        except BaseException:  # whoever leaves takes it along; the next watch tells it again
            _kill(process)
            raise
    return f"ended with {process.returncode}" if process.returncode else ""


def to_tell(root: Root, number: int, event: Event) -> dict[str, Any]:
    """The documented form of an event, as the command gets it."""
    place = ["--root", str(root.path)]
    return {
        "schema": SCHEMA,
        "id": f"{root.id()}-{event.sweep}-{number}",
        "event": event.event,
        "sweep": event.sweep,
        "study": event.study,
        "time": event.time,
        "message": event.message,
        "counts": event.counts,
        "failed": event.failed,
        "gpu_hours": event.gpu_hours,
        "max_gpu_hours": event.max_gpu_hours,
        "root": str(root.path),
        "next": shlex.join(["orchestrate", NEXT[event.event](event), event.sweep, *place]),
    }


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End it with all that is still of its group."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
