"""A SLURM that takes arrays and runs nothing; called as sbatch, squeue, sacct, scancel, scontrol.

Its folder is the one above its own. It has ``delay_s``, which every answer takes at least;
``arrays``, a line ``NUMBER NAME MEMBERS STATE`` for each array taken; and ``calls``, a line
``COMMAND TIME`` for each call answered, and ``submitted MEMBERS`` beside those that took an array.
Arrays wait, or all of them have ended: then only sacct knows them.
"""

import sys
import time
from collections.abc import Callable, Mapping

WIDTH = 20
FOLDER = sys.argv[0].rsplit("/", 2)[0]
CONFIG = """\
ClusterName = alpha
MaxArraySize = 100001
AccountingStorageType = accounting_storage/slurmdbd
"""
RECORD = {"State": "COMPLETED", "ExitCode": "0:0", "Start": "1000000000", "End": "1000000060"}


def main() -> None:
    began = time.monotonic()
    command, words = sys.argv[0].rsplit("/", 1)[1], sys.argv[1:]
    answer = ANSWERS[command](words)
    (line,) = _lines("delay_s")
    left = float(line) - (time.monotonic() - began)
    time.sleep(max(0.0, left))
    dry = command == "sbatch" and "--test-only" in words
    _append("calls", f"{command}{'--test-only' if dry else ''} {time.time()}")
    sys.stdout.write(answer)


def _sbatch(words: list[str]) -> str:
    if "--test-only" in words:
        return ""
    asked = [line.split()[1] for line in _lines(words[-1]) if line.startswith("#SBATCH ")]
    options = dict(word.removeprefix("--").partition("=")[::2] for word in asked)
    first, _, last = options.get("array", "0-0").partition("%")[0].partition("-")
    members = int(last or first) - int(first) + 1
    number = len(_arrays()) + 1
    _append("arrays", f"{number} {options.get('job-name', 'job')} {members} PENDING")
    _append("calls", f"submitted {members}")
    return f"Submitted batch job {number}\n"


def _squeue(words: list[str]) -> str:
    """Whoever asks names arrays and fields: ``--name=A,B --Format=Field:width|,...``."""
    options = dict(word.removeprefix("--").partition("=")[::2] for word in words)
    names = set(options["name"].split(","))
    fields = [field.partition(":")[0] for field in options["Format"].split(",")]
    known = {"State": "PENDING", "Reason": "Priority", "RestartCnt": "0", "exit_code": "0"}
    lines = []
    for number, name, members, state in _arrays():
        if name not in names or state != "PENDING":
            continue
        told = {**known, "ArrayJobID": number, "Name": name}
        cells = [f"{told.get(field, ''):<{WIDTH}}|" for field in fields]
        cells[fields.index("ArrayTaskID")] = f"{{0:<{WIDTH}}}|"
        line = "".join(cells) + "\n"
        lines += [line.format(index) for index in range(int(members))]
    return "".join(lines)


def _sacct(words: list[str]) -> str:
    """Members that wait are one line, as sacct has it; those that ended one each."""
    follow = zip(words, [*words[1:], ""], strict=True)
    pairs = [w.partition("=")[::2] if "=" in w else (w, n) for w, n in follow]
    asked = {number for name, value in pairs if name in ("-j", "--jobs") for number in _ids(value)}
    fields = next(v for name, v in pairs if name in ("-o", "--format")).split(",")
    lines = [] if "--noheader" in words else ["|".join(fields)]
    for number, name, members, state in _arrays():
        if number not in asked:
            continue
        if state == "PENDING":
            told = {"JobID": f"{number}_[0-{int(members) - 1}]", "State": state, "JobName": name}
            lines.append("|".join(told.get(field, "") for field in fields))
            continue
        told = {**RECORD, "JobName": name, "NodeList": "node7", "JobID": "{0}"}
        line = "|".join(told[field] for field in fields)
        lines += [line.format(f"{number}_{index}") for index in range(int(members))]
    return "\n".join(lines) + "\n"


def _ids(text: str) -> list[str]:
    return [one.partition("_")[0] for one in text.split(",")]


def _arrays() -> list[list[str]]:
    return [line.split() for line in _lines("arrays")]


def _lines(name: str) -> list[str]:
    """Of a file in the folder, or of one anywhere."""
    with open(f"{FOLDER}/{name}" if "/" not in name else name) as file:  # noqa: PTH123 - starts fast
        return file.read().splitlines()


def _append(name: str, line: str) -> None:
    with open(f"{FOLDER}/{name}", "a") as file:  # noqa: PTH123
        file.write(f"{line}\n")


ANSWERS: Mapping[str, Callable[[list[str]], str]] = {
    "sbatch": _sbatch,
    "squeue": _squeue,
    "sacct": _sacct,
    "scontrol": lambda _: CONFIG,
    "scancel": lambda _: "",
    "srun": lambda _: "",
}

if __name__ == "__main__":
    main()
