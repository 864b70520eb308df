"""A warmed process that runs the command line in forks of itself, and the way to ask it for that.

As a program it reads a request a line, a list of runs that go on at the same time, and answers with
what became of each.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Self

from support.environment import FOREIGN
from support.strikes import KILL, Strikes

NEEDED = (
    *("orchestrator.cli.launch", "orchestrator.cli.watch", "orchestrator.cli.status"),
    *("orchestrator.cli.cancel", "orchestrator.cli.launched", "orchestrator.cli.wait"),
    *("orchestrator.cli.jobs_table", "orchestrator.controller.launch", "submitit"),
    *("orchestrator.controller.cancel", "orchestrator.executors.local", "submitit.slurm.slurm"),
    *("orchestrator.executors.slurm_script", "orchestrator.sweep.profile", "getpass", "pwd"),
    *("orchestrator.cli.gc", "orchestrator.controller.gc", "encodings.utf_8_sig"),
)
PATIENCE_S = 120
"""A verb that takes longer is ended."""
_shift_s = 0.0
_clock = time.time


@dataclass(frozen=True)
class Run:
    """A command line, and what is to befall it.

    ``user`` is a number to become, of group ``group``; ``shift_s`` by how much this machine's clock
    is wrong.
    """

    words: tuple[str, ...]
    folder: str
    environment: dict[str, str] = field(default_factory=dict)
    at: int | None = None
    how: str = KILL
    wait_s: float = 0.0
    shift_s: float = 0.0
    user: int | None = None
    group: int = 0
    umask: int = 0o002


@dataclass(frozen=True)
class Ran:
    """What became of a run: exit code (negative: the signal), output, and what it did in order."""

    code: int
    said: str
    did: tuple[str, ...]

    @property
    def json(self) -> Any:
        return json.loads(self.said)


class Forge:
    """Runs command lines; a context, at whose end its process ends."""

    def __init__(self) -> None:
        here = Path(__file__).parents[1]
        paths = (str(here), str(here.parent), os.environ.get("PYTHONPATH", ""))
        own = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**own, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, *runs: Run) -> list[Ran]:
        """Run these at the same time, each after its ``wait_s``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([asdict(one) for one in runs]) + "\n")
        self._process.stdin.flush()
        return [
            Ran(one["code"], one["said"], tuple(one["did"]))
            for one in json.loads(self._process.stdout.readline())
        ]


def main(requests: IO[str], answers: IO[str]) -> None:
    for number, line in enumerate(requests):
        runs = [Run(**{**one, "words": tuple(one["words"])}) for one in json.loads(line)]
        told = [Path(f"/tmp/forge-{os.getpid()}-{number}-{place}") for place in range(len(runs))]
        children = [_fork(one, where) for one, where in zip(runs, told, strict=True)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        results = [_result(code, where) for code, where in zip(codes, told, strict=True)]
        print(json.dumps(results), file=answers, flush=True)


def _result(code: int, told: Path) -> dict[str, Any]:
    found = {}
    for what in ("said", "did"):
        path = told.with_suffix(f".{what}")
        found[what] = path.read_text() if path.exists() else ""
        path.unlink(missing_ok=True)
    return {"code": code, "said": found["said"], "did": found["did"].splitlines()}


def _fork(run: Run, told: Path) -> int:
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        code = _play(run, told)
    except BaseException:  # noqa: BLE001 - whatever it is, it must not return into the forge
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _play(run: Run, told: Path) -> int:
    global _shift_s  # noqa: PLW0603 - the clock of this process
    from orchestrator.cli.main import main as orchestrate

    signal.alarm(PATIENCE_S)
    for name in ("did", "said"):
        told.with_suffix(f".{name}").touch()
        told.with_suffix(f".{name}").chmod(0o666)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    said = os.open(told.with_suffix(".said"), os.O_WRONLY | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(said, standard)
    os.chdir(run.folder)
    os.environ.update(run.environment)
    if run.user is not None:
        os.umask(run.umask)
        os.setgroups([])
        os.setgid(run.group)
        os.setuid(run.user)
    time.sleep(run.wait_s)
    _shift_s = run.shift_s
    sys.argv = ["orchestrate", *run.words]
    sys.dont_write_bytecode = True
    root = Path(run.environment["ORCHESTRATE_ROOT"])
    Strikes(root, told.with_suffix(".did"), run.at, run.how).install()
    try:
        orchestrate()
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 0
    return 0


if __name__ == "__main__":
    time.time = lambda: _clock() + _shift_s  # before anybody keeps the real one
    for name in NEEDED:
        import_module(name)
    main(sys.stdin, sys.stdout)
