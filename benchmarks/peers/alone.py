"""What ours costs by itself in a root of many ended jobs, down to its system calls."""

import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from peers.measure import Bench, Command, Missing
from peers.ours import Ours

TRACE = ("strace", "-f", "-y", "-e", "trace=file,read,getdents64", "-o")


@dataclass
class Aside(Ours):
    """Ours with other words than those of the story."""

    said: tuple[str, ...] = ()
    before: tuple[str, ...] = ()

    def command(self, verb: str) -> Command | Missing:
        if verb != "aside":
            return super().command(verb)
        return Command((*self.before, *self.words(*self.said).words))


def measure_alone(ours: Ours, folder: Path, *, jobs: int, new: int) -> dict[str, object]:
    """``status`` in its forms, a launch of ``new`` further jobs, system calls of a warm status."""
    less = max(100, jobs // 1000 * 100)
    one, bench = _ended(ours, folder / "many", jobs)
    told: dict[str, object] = {"jobs": jobs}
    for words in (("status", "s", "--json"), ("status", "s"), ("status", "--json"), ("--help",)):
        told[" ".join(words)] = _seconds(one, bench, *words)
    if shutil.which("strace"):
        counts = {less: _calls(*_ended(ours, folder / "fewer", less)), jobs: _calls(one, bench)}
        told["file-related system calls of a warm status --json, by ended jobs"] = counts
    other = (bench.folder / "s.yaml").read_text().replace("name: s\n", "name: new\n")
    seeds = ", ".join(str(10**6 + seed) for seed in range(new // 100))
    text = re.sub(r"^seeds: .*", f"seeds: [{seeds}]", other, flags=re.MULTILINE)
    (bench.folder / "new.yaml").write_text(text)
    told[f"launch of {new} further jobs"] = _seconds(one, bench, "launch", "new.yaml", times=1)
    return told


def _ended(ours: Ours, folder: Path, jobs: int) -> tuple[Aside, Bench]:
    """A root of so many jobs that have ended, and that a status has seen so."""
    one = Aside(ours.data, ours.points)
    bench = Bench.make(one, folder, jobs=jobs, delay_s=0.0)
    bench.run("launch")
    bench.end()
    bench.run("status when ended")
    return one, bench


def _seconds(one: Aside, bench: Bench, *words: str, times: int = 3) -> float:
    """Of the fastest run: other programs only slow them."""
    one.said, one.before = words, ()
    runs = [bench.run("aside") for _ in range(times)]
    return round(min(run.seconds for run in runs if not isinstance(run, Missing)), 3)


def _calls(one: Aside, bench: Bench) -> dict[str, int]:
    """System calls of a warm ``status`` that concern files of the root, by name."""
    log = bench.folder / "calls.txt"
    one.said, one.before = ("status", "s", "--json"), (*TRACE, str(log))
    bench.run("aside")
    lines = log.read_text(errors="replace").splitlines()
    named = (re.match(r"\d+ +(\w+)\(", line) for line in lines if str(one.root.path) in line)
    counts = Counter(found[1] for found in named if found)
    return {"all": counts.total(), **dict(sorted(counts.items()))}
