"""The small SLURM job that tends a sweep: it looks once, and is followed by itself.

Each start first puts its successor into the queue, held back by ``--begin`` and by
``--dependency=singleton``, so that a tender that is killed is followed all the same; when nothing
more will happen without a person, the last one takes its successor away.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import ClusterProfile
from orchestrator.errors import Refused
from orchestrator.executors import slurm_queries as slurm
from orchestrator.executors.slurm_queries import NoAnswer
from orchestrator.executors.slurm_words import limit_in
from orchestrator.jobs.files import publish
from orchestrator.jobs.layout import Root

NOT_OVER = 4
"""Exit code of ``orchestrate watch --once`` while there is more to come."""
PLACES = 2
"""What a tender and its successor take in the queue."""
MINUTES = 30
"""Time limit of one start: far more than a look takes, and short enough to slip in anywhere."""
MEMORY_MB = 2048


@dataclass(frozen=True, slots=True)
class Tender:
    """Who tends what: a sweep of a root, on a cluster, every so many seconds."""

    root: Root
    sweep: str
    profile: ClusterProfile
    python: str
    snapshot: str
    every_s: int

    @property
    def name(self) -> str:
        """SLURM's name for it: one of a name and user runs at a time."""
        return f"{slurm.TENDERS}{self.root.id()[:8]}-{self.sweep}"

    @property
    def script(self) -> Path:
        return self.root.sweep(self.sweep) / "tender.sh"

    def render(self) -> str:
        """The text that is submitted."""
        kept = "|".join(sorted(slurm.KEPT_VARIABLES))
        lines = ["#!/bin/bash", *(f"#SBATCH --{option}" for option in self._options())]
        code, script = self.root.snapshots / self.snapshot, shlex.quote(str(self.script))
        return "\n".join(
            [
                *lines,
                "# What a job says of itself would change what this one submits.",
                "for name in $(compgen -e | grep -E '^(SLURM|SBATCH)_'); do",
                f'  case "$name" in {kept}) ;; *) unset "$name" ;; esac',
                "done",
                *self.profile.setup,
                "set +e",
                f"export PYTHONPATH={shlex.quote(str(code))}${{PYTHONPATH:+:$PYTHONPATH}}",
                "follow() {",
                f"  sbatch --begin=now+{self.every_s} {script} && followed=1",
                "}",
                "followed=",
                "follow",
                "while :; do",
                f"  {self._watch()}",
                "  code=$?",
                '  if [ "$code" -eq 0 ] || [ "$code" -eq 3 ]; then',
                f"    scancel --me --name={shlex.quote(self.name)} --state=PENDING",
                "    # A launch may have found that successor, and relied on it.",
                f'    {self._watch()}; [ "$?" -eq {NOT_OVER} ] || exit "$code"',
                "    followed=",
                "    follow",
                "  fi",
                '  [ -z "$followed" ] || exit 0',
                "  # Without a successor this start goes on, as long as it may.",
                f"  sleep {self.every_s}",
                "  follow",
                "done",
                "",
            ]
        )

    def start(self) -> tuple[str, int]:
        """Submit it, unless it is there already; a sentence, and how many places it still needs.

        It begins a little later, when the jobs that it tends have been submitted.

        Raises:
            Refused: SLURM did not take it.
        """
        try:
            here = slurm.queue({self.name})
            waiting = [row for row in here if row.state in ("PENDING", "RUNNING")]
            if waiting:
                said = f"SLURM job {waiting[0].array} tends it already"
                return said, max(0, PLACES - len(waiting))
            publish(self.script, self.render().encode())
            later = f"--begin=now+{self.every_s}"
            said = slurm.ask("sbatch", "--parsable", later, str(self.script))
        except NoAnswer as error:
            if limit := limit_in(str(error)):
                return (
                    f"Nothing tends the sweep: the cluster takes no more jobs of yours now "
                    f"({limit[1]}). When some have ended, launch again with --controller, or: "
                    f"orchestrate watch {self.sweep}"
                ), 0
            raise Refused(
                f"SLURM did not take the job that is to tend the sweep, and none of its jobs were "
                f"submitted ({error}). Launch again, or without --controller and then: "
                f"orchestrate watch {self.sweep}"
            ) from None
        job = said.strip().partition(";")[0]
        return f"SLURM job {job} tends it every {self.every_s} s (log: {self._log()})", PLACES - 1

    def _watch(self) -> str:
        command = [self.python, "-P", "-m", "orchestrator.cli", "watch", self.sweep, "--once"]
        return shlex.join([*command, "--root", str(self.root.path)])

    def _log(self) -> Path:
        return self.script.with_suffix(".log")

    def _options(self) -> list[str]:
        profile = self.profile
        partition = profile.controller_partition or profile.default_partition
        memory = f"{MEMORY_MB}M" if profile.ask_memory else None
        known = {
            "job-name": self.name,
            "partition": partition,
            "account": profile.account,
            "qos": profile.qos,
            "mem": memory,
            "chdir": str(self.root.path),
            "output": str(self._log()).replace("%", "%%"),
        }
        fixed = ["ntasks=1", "cpus-per-task=1", f"time={MINUTES}", "open-mode=append"]
        told = [f"{name}={shlex.quote(value)}" for name, value in known.items() if value]
        return [*told, *fixed, "dependency=singleton", "no-requeue"]
