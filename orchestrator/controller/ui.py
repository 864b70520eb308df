"""The verb ui: MLflow's pages of a root's studies, served and kept up to date."""

import os
import shutil
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.controller.sync import plans_of, sync_sweeps
from orchestrator.errors import BusyError, SpecError, StoreError
from orchestrator.jobs.layout import Root
from orchestrator.jobs.lease import leased
from orchestrator.jobs.processes import user_name
from orchestrator.jobs.store import sweep_names
from orchestrator.mirror.server import Server, serve
from orchestrator.mirror.sync import serving, without_password
from orchestrator.mirror.view import page

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

    def show(self, *, port: int | None, protected: bool) -> None:
        """Serve the store until the server or this process ends.

        Args:
            port: None takes a free one.
            protected: whether the page asks for a password.

        Raises:
            SpecError: nothing is called so, or nothing was launched yet.
            BusyError: somebody else serves this store.
            StoreError: the server does not come up, or ended by itself.
        """
        study = self._study()
        if self.uri.startswith("http"):
            self._keep_up(study, self.uri, None)
            return
        log = self.root.mirror / "server.log"
        self.root.mirror.mkdir(exist_ok=True)
        with leased(serving(self.root, self.uri), "ui", wait_s=0):
            self.tell(f"Bringing {without_password(self.uri)} up to date ...")
            sync_sweeps(self.root, (), self.uri, through=self.uri)
            with serve(self.uri, log, port=port, protected=protected) as server:
                os.environ.update(server.credentials())
                self._welcome(server)
                self._keep_up(study, server.url, server)
        raise StoreError(f"MLflow's server ended by itself; what it said is in {log}")

    def _study(self) -> str:
        """The study to open: the named one, or that of the sweep launched last."""
        plans = plans_of(self.root, [self.name] if self.name else [])
        if not plans:
            raise SpecError(f"Nothing was launched under {self.root.path} yet.")
        if self.name:
            return plans[0].study
        newest = max(sweep_names(self.root), key=lambda name: self.root.sweep(name).stat().st_mtime)
        return plans_of(self.root, [newest])[0].study

    def _welcome(self, server: Server) -> None:
        if server.password:
            self.tell(f"User {server.user}, password {server.password} (until this command ends)")
        if os.environ.get("SSH_CONNECTION"):
            port = server.url.rpartition(":")[2]
            self.tell("On your own machine, first:")
            self.tell(f"  ssh -L {port}:127.0.0.1:{port} {user_name()}@{socket.getfqdn()}")

    def _keep_up(self, study: str, url: str, server: Server | None) -> None:
        """Sync again and again; tell the study's address once, and each new trouble once."""
        told, trouble = False, ""
        while server is None or server.is_up():
            before, trouble = trouble, ""
            try:
                done = sync_sweeps(self.root, (), self.uri, through=url if server else None)
                if not told:
                    told = True
                    address = without_password(url) + page(done.experiments[study])
                    self.tell(f"{study}, a table:  {address}")
                    self.tell(f"{study}, charts:   {address}&compareRunsMode=CHART")
                    self.tell("Kept up to date until Ctrl-C.")
                trouble = "; ".join(f"{name}: {words}" for name, words in done.refused.items())
            except (StoreError, BusyError) as error:
                trouble = str(error)
            if trouble != before:
                self.tell(f"{time.strftime('%H:%M:%S')} {trouble or 'MLflow is up to date again.'}")
            time.sleep(EVERY_S)


def is_shared_machine() -> bool:
    """Whether other people can reach this machine's loopback: one logs in from afar, or they do."""
    if os.environ.get("SSH_CONNECTION") or shutil.which("sbatch"):
        return True
    return bool((uids_here() - {os.getuid()}) & set(PEOPLE))


def uids_here() -> set[int]:
    """Whose processes run on this machine."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.add(process.stat().st_uid)
    return found
