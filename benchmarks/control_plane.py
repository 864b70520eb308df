"""What launching jobs, looking at them and launching them again costs, beside named peers.

    python benchmarks/control_plane.py --peers-python PATH

Runs ours, submitit, Hydra with its submitit launcher, and Dora in turn, each in its own documented
way and as whole commands, their imports among them, on the same grid of three axes and against the
same stub scheduler, whose every answer takes ``--delay`` seconds. A story has the steps launch,
status, unchanged relaunch, end of all jobs, status, relaunch; stories are told ``--repeats`` times,
competitors alternating, after one of a few jobs that counts for nothing. Prints for each step the
best and the median time, processor seconds, calls of the scheduler and members submitted; the files
that a launch left per job; ratios of the peers to ours; and where a peer is ahead. Then what ours
costs by itself in a root of ended jobs, with strace, where there is one, down to system calls.

The peers live in an environment of their own; without ``--peers-python`` one is made and removed.
A peer that is not there, or cannot do a step, is told with the reason.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from peers.alone import measure_alone
from peers.dora_ import Dora
from peers.environment import PACKAGES, make_environment, versions
from peers.hydra_ import Hydra
from peers.measure import Competitor
from peers.ours import Ours
from peers.story import Told, tell, together
from peers.submitit_ import Submitit, SubmititInALoop
from peers.table import bars, behind, lines, plain

from orchestrator.worker.data.digits import prepare_digits

TRIAL = 100
"""Jobs of the first story, which fills the disk's and Python's caches."""


def main() -> None:
    asked = _arguments()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        prepare_digits(folder / "data", "digits")
        python = asked.peers_python or make_environment(folder / "environment")
        found = versions(python, sorted({one for some in PACKAGES.values() for one in some}))
        for peer, packages in PACKAGES.items():
            if lacking := [package for package in packages if package not in found]:
                print(f"missing: {peer} ({python} has no {', '.join(lacking)})")
        ours = Ours(folder / "data", asked.points)
        competitors = [ours, *_peers(python, found)]
        by = _measure(competitors, folder / "stories", asked)
        print(f"peers: {found}\n" + "\n".join(lines(by)))
        print("bars of ours\n" + "\n".join(bars(by)))
        print("where a peer is ahead of ours\n" + ("\n".join(behind(by)) or "  nowhere"))
        alone = measure_alone(ours, folder / "alone", jobs=asked.many, new=asked.jobs)
        print("ours by itself\n" + json.dumps(alone, indent=1))
    if asked.json:
        told = {"versions": found, "delay_s": asked.delay, "stories": plain(by), "alone": alone}
        asked.json.write_text(json.dumps(told, indent=1) + "\n")


def _peers(python: Path, found: dict[str, str]) -> Iterator[Competitor]:
    """Those whose packages were found."""
    rows: dict[str, tuple[Competitor, ...]] = {
        "submitit": (Submitit(python), SubmititInALoop(python)),
        "hydra": (Hydra(python),),
        "dora": (Dora(python),),
    }
    for name, competitors in rows.items():
        if found.keys() >= set(PACKAGES[name]):
            yield from competitors


def _measure(
    competitors: list[Competitor], folder: Path, asked: argparse.Namespace
) -> dict[int, dict[str, Told]]:
    by: dict[int, dict[str, Told]] = {}
    for repeat in range(asked.repeats + 1):
        for jobs in (TRIAL,) if not repeat else (asked.jobs, asked.many):
            for one in competitors:
                if one.once and repeat > 1:
                    continue
                print(f"repeat {repeat}: {one.name}, {jobs:,} jobs", file=sys.stderr)
                told = tell(one, folder, jobs=jobs, delay_s=asked.delay)
                shutil.rmtree(folder, ignore_errors=True)
                if repeat:
                    names = by.setdefault(jobs, {})
                    names[one.name] = together(names[one.name], told) if one.name in names else told
    return by


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers-python", type=Path, help="of an environment with the peers")
    parser.add_argument("--jobs", type=int, default=1000, help="of a story that all are told")
    parser.add_argument("--many", type=int, default=10_000, help="of a story for those that can")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--delay", type=float, default=0.02, help="of each answer, in seconds")
    parser.add_argument("--points", type=int, default=50, help="of an ended job's journal")
    parser.add_argument("--folder", type=Path, help="on the disk to be measured [the system's]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="for every run's numbers")
    return parser.parse_args()


if __name__ == "__main__":
    main()
