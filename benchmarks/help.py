"""What the help of the command line takes: of the program and of each verb, beside bare Python.

    python benchmarks/help.py [--rounds 15] [--json FILE]

Each is a process of its own: ``python -m orchestrator.cli VERB --help``, and ``python -c pass``.
In a round all take their turn; ratios are to bare Python of the same round. A round before the
first fills the caches and counts for nothing.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import quantiles

from orchestrator.cli.main import VERBS

BARE = "python -c pass"


def main() -> None:
    asked = _arguments()
    helps = {f"orchestrate {verb}".strip(): [verb, "--help"] for verb in ("", *VERBS)}
    programs = {name: ["-m", "orchestrator.cli", *filter(None, w)] for name, w in helps.items()}
    commands = {BARE: [sys.executable, "-c", "pass"]}
    commands |= {name: [sys.executable, *words] for name, words in programs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(-1, asked.rounds):
        for name, command in commands.items():
            took = _timed(command)
            if turn >= 0:
                seconds[name].append(took)
    rows = {name: _row(each, seconds[BARE]) for name, each in seconds.items()}
    print("| help of | ms | to bare Python | quartiles |\n|---|---|---|---|")
    for name, (milliseconds, (low, middle, high)) in rows.items():
        print(f"| `{name}` | {milliseconds:.0f} | {middle:.1f} | {low:.1f}-{high:.1f} |")
    if asked.json:
        asked.json.write_text(json.dumps(seconds, indent=1) + "\n")


def _timed(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def _row(own: list[float], bare: list[float]) -> tuple[float, list[float]]:
    """The median in ms, and the quartiles of the ratios."""
    ratios = [one / other for one, other in zip(own, bare, strict=True)]
    return 1e3 * quantiles(own, n=4)[1], quantiles(ratios, n=4)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
