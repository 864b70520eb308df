"""The verb ui: MLflow's pages of a root's studies, served and kept up to date."""

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.controller.outline import outlines_of
from orchestrator.controller.sync import sync_sweeps
from orchestrator.errors import BusyError, OrchestrateError, SpecError, StoreError
from orchestrator.jobs.layout import Root
from orchestrator.jobs.lease import holder, leased
from orchestrator.jobs.processes import user_name
from orchestrator.jobs.store import launched_revision
from orchestrator.mirror.server import NO_PROXY, Server, serve
from orchestrator.mirror.sync import artifacts, serving, without_password
from orchestrator.mirror.view import PAGES, address

EVERY_S = 10.0
"""Between the end of one sync and the next."""
PEOPLE = range(1000, 60000)
"""Numbers that Linux gives to users who are people."""


@dataclass(frozen=True, slots=True)
class Ui:
    """What one opening of the pages shows: a study of a root in a store; ``tell`` prints a line."""

    root: Root
    name: str | None
    uri: str
    tell: Callable[[str], None]

    def show(self, *, port: int | None, protected: bool | None) -> None:
        """Serve the store until this process is asked to end.

        Args:
            port: None takes a free one.
            protected: whether the page asks for a password; None: where other people can log in.

        Raises:
            SpecError: nothing is called so, or nothing was launched yet.
            BusyError: somebody else serves this store.
            StoreError: the server does not come up, or ended by itself.
        """
        study = self._study()
        if self.uri.startswith("http"):
            self._keep_up(study, self.uri, None, lambda: True)
        log, lease = self.root.mirror / "server.log", serving(self.root, self.uri)
        if who := holder(lease):
            raise BusyError(
                f"{without_password(self.uri)} is served already, by {who}: use the address that "
                "it printed, or end it first."
            )
        with leased(lease, "ui", wait_s=0):
            self.tell(f"Bringing {without_password(self.uri)} up to date ...")
            sync_sweeps(self.root, (), self.uri, through=self.uri)
            shared = is_shared_machine() if protected is None else protected
            pictures = artifacts(self.root)
            with serve(self.uri, log, artifacts=pictures, port=port, protected=shared) as server:
                self._welcome(server)
                with _environment(server.credentials() | NO_PROXY):
                    self._keep_up(study, server.url, server.url, server.is_up)
        raise StoreError(f"MLflow's server ended by itself. Read {log}, then try again.")

    def _study(self) -> str:
        """The study to open: the named one, or that of the sweep launched last."""
        if self.name:
            studies = [outline.study for outline in outlines_of(self.root, [self.name])]
            return self.name if self.name in studies else studies[0]
        names = self.root.sweep_names()
        if not names:
            raise SpecError(
                f"Nothing was launched under {self.root.path} yet. "
                "Try: orchestrate launch SWEEP.yaml"
            )
        newest = max(names, key=lambda name: self.root.sweep(name).stat().st_mtime)
        study: str = launched_revision(self.root, newest)["study"]
        return study

    def _welcome(self, server: Server) -> None:
        if server.password:
            self.tell(f"User {server.user}, password {server.password} (until this command ends)")
        if os.environ.get("SSH_CONNECTION"):
            port = server.url.rpartition(":")[2]
            self.tell("On your own machine, first:")
            self.tell(f"  ssh -L {port}:127.0.0.1:{port} {user_name()}@{socket.getfqdn()}")

    def _keep_up(
        self, study: str, url: str, through: str | None, is_up: Callable[[], bool]
    ) -> None:
        """Sync again and again; tell the study's addresses once, and each new trouble once."""
        addressed, before = False, ""
        while is_up():
            trouble = ""
            try:
                done = sync_sweeps(self.root, (), self.uri, through=through)
                trouble = "; ".join(done.troubles)
                if not addressed:
                    addressed = True
                    self._address(study, without_password(url), done.experiments[study])
            except (OrchestrateError, OSError) as error:
                trouble = str(error)
            if trouble != before:
                self.tell(f"{time.strftime('%H:%M:%S')} {trouble or 'MLflow is up to date again.'}")
            before = trouble
            time.sleep(EVERY_S)

    def _address(self, study: str, url: str, experiment: str) -> None:
        for face in PAGES:
            self.tell(f"{study}, {face}: {address(url, experiment, face)}")
        self.tell("Kept up to date until Ctrl-C.")


@contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    """What MLflow's client is to read from the environment meanwhile."""
    before = {name: os.environ.get(name) for name in more}
    os.environ.update(more)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def is_shared_machine() -> bool:
    """Whether others may reach this machine's loopback.

    So it is taken to be if one came over SSH, if SLURM is here, or other people's processes are.
    """
    if os.environ.get("SSH_CONNECTION") or shutil.which("sbatch"):
        return True
    return any(uid in PEOPLE for uid in uids_here() - {os.getuid()})


def uids_here() -> set[int]:
    """Whose processes run on this machine."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.add(process.stat().st_uid)
    return found
