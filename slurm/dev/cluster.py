"""One cluster in one folder: its daemons, which of them run, their start and their end."""

import json
import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from signal import SIGKILL, SIGTERM

from dev.daemons import INSTALL_DB, Daemon, daemons_of, is_listened_to
from dev.errors import ClusterError
from dev.files import write_files
from dev.options import Options
from dev.processes import Process, told_of, wait_until

PATIENCE_S = 60


class Cluster:
    """Its record in the folder says which daemons were started, and with which options."""

    def __init__(self, folder: Path, options: Options, processes: dict[str, Process]) -> None:
        self.folder, self.options, self.processes = folder, options, processes
        self.daemons = daemons_of(folder, options)
        self.conf = f"{folder}/slurm.conf"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "MYSQL"))}
        own = {"SLURM_CONF": self.conf, "MYSQL_UNIX_PORT": f"{folder}/db/socket"}
        self.environment = {**kept, **own}

    @classmethod
    def recorded(cls, folder: Path) -> "Cluster | None":
        """The cluster that was started in this folder, whether it still runs or not."""
        try:
            record = json.loads((folder / "daemons.json").read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        processes = {name: Process(**process) for name, process in record["daemons"].items()}
        return cls(folder, Options(**record["options"]), processes)

    def record(self) -> None:
        daemons = {name: asdict(process) for name, process in self.processes.items()}
        record = {"options": asdict(self.options), "daemons": daemons}
        draft = self.folder / "daemons.json.tmp"
        draft.write_text(json.dumps(record, indent=1) + "\n")
        draft.rename(self.folder / "daemons.json")

    def write(self) -> None:
        """The folder and all its files. The record is the first: by it the folder is ours."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)  # or munge finds its socket out of reach
        self.record()
        write_files(self.folder, self.options)

    def alive(self, name: str) -> bool:
        return name in self.processes and self.processes[name].alive()

    def ask(self, command: str) -> str | None:
        """What the command says; None when it fails or hangs."""
        try:
            said = subprocess.check_output(
                command.split(), env=self.environment, stderr=subprocess.DEVNULL, timeout=20
            )
        except subprocess.SubprocessError:
            return None
        return said.decode().strip()

    def is_ready(self, daemon: Daemon) -> bool:
        said = self.ask(daemon.ready)
        answers = said is not None and re.search(daemon.answer, said) is not None
        return answers and (daemon.port is None or is_listened_to(daemon.port))

    def start_missing(self) -> list[str]:
        """Names of the daemons that did not run and do now. On a failure they are stopped again."""
        missing = [daemon for daemon in self.daemons if not self.alive(daemon.name)]
        try:
            if self.options.accounting and not (self.folder / "db/data").exists():
                self.write_database()
            for daemon in missing:
                self.start(daemon)
        except BaseException:
            self.stop([daemon.name for daemon in missing])
            raise
        return [daemon.name for daemon in missing]

    def start(self, daemon: Daemon) -> None:
        """Returns once it is ready; raises if it ends, or takes too long."""
        pid = self.launch(daemon.name, daemon.command).pid
        process = self.processes[daemon.name] = Process.numbered(pid)
        self.record()
        wait_until(lambda: self.is_ready(daemon) or not process.alive(), PATIENCE_S)
        if not process.alive() or not self.is_ready(daemon):
            what = f"is not ready after {PATIENCE_S} s" if process.alive() else "ended at once"
            raise ClusterError(f"{daemon.name} {what}. {self.end_of(daemon.name)}")

    def write_database(self) -> None:
        (self.folder / "db/data").mkdir(mode=0o700)
        installing = self.launch("mariadb-install-db", INSTALL_DB.format(folder=self.folder))
        try:
            failed = installing.wait()
        except BaseException:
            os.killpg(installing.pid, SIGKILL)
            raise
        if failed:
            raise ClusterError(f"mariadb-install-db failed. {self.end_of('mariadb-install-db')}")

    def launch(self, name: str, command: str) -> "subprocess.Popen[bytes]":
        """In a session of its own, so that it outlives this terminal."""
        with (self.folder / f"log/{name}.log").open("ab") as log:
            return subprocess.Popen(
                command.split(),
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def end_of(self, name: str) -> str:
        log = self.folder / f"log/{name}.log"
        last_lines = log.read_text(errors="replace").splitlines()[-15:]
        return "\n".join([f"The end of {log}:", *last_lines])

    def end(self) -> None:
        """Ends its jobs, its daemons, and whatever these have started meanwhile."""
        self.cancel_jobs()
        self.kill_job_processes()
        self.stop(self.processes)
        self.kill_job_processes()

    def cancel_jobs(self) -> None:
        if self.alive("slurmctld"):
            self.ask("scancel --partition=main")
            self.ask("scancel --partition=spare")
            wait_until(lambda: not self.ask("squeue --noheader"), 5)

    def stop(self, names: Iterable[str]) -> None:
        """Ends these daemons, the last first."""
        for name in reversed([name for name in names if name in self.processes]):
            self.processes[name].stop(SIGTERM, SIGKILL)

    def kill_job_processes(self) -> None:
        """Ends whatever its slurmds have started."""
        for process in told_of(self.conf):
            if process not in self.processes.values():
                process.stop(SIGKILL)
