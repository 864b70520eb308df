"""Stands in for ``python -m orchestrator.worker TOKEN INDEX``: does as its script says.

The script is ``control/NAME.rankR``, else ``control/NAME``, beside the run root: one act a line.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from orchestrator.jobs.processes import this_process

ROOT = Path(os.environ["ORCHESTRATE_ROOT"])
TOKEN, INDEX = sys.argv[1], int(sys.argv[2])
INTENT = json.loads((ROOT / "submissions" / TOKEN / "intent.json").read_bytes())
JOB, NAME = INTENT["jobs"][INDEX], INTENT["names"][INDEX]
FORMS = INTENT["forms"]
RANK = os.environ["ORCHESTRATE_RANK"]
FOLDER = ROOT / "jobs" / JOB[:2] / JOB
CONTROL = ROOT.parent / "control"


class Worker:
    def __init__(self) -> None:
        self.attempt = FOLDER / "attempts" / "none"
        signal.signal(signal.SIGTERM, lambda *_: self.end("stopped", 75))
        signal.signal(signal.SIGUSR2, lambda *_: self.end("stopped", 79))

    def claim(self, gpus: str = "0") -> None:
        (ROOT / "submissions" / TOKEN / "claimed" / str(INDEX)).touch()
        number = len(list(FOLDER.glob("attempts/[0-9]*"))) + 1
        if number == 1 and not (FOLDER / "job.json").exists():
            FOLDER.mkdir(parents=True, exist_ok=True)
            record = {"schema": 1, "id": JOB, **(FORMS[INDEX] if FORMS else {})}
            (FOLDER / "job.json").write_text(json.dumps(record))
        self.attempt = FOLDER / "attempts" / f"{number:03d}"
        draft = self.attempt.with_name(f".tmp-{TOKEN}-{INDEX}")
        draft.mkdir(parents=True)
        restart = int(os.environ.get("ORCHESTRATE_RESTART", "0"))
        start = {"token": TOKEN, "index": INDEX, "restart": restart, "time": time.time()}
        where = {"process": str(this_process()), "host": "here", "code_hash": INTENT["snapshot"]}
        (draft / "started.json").write_text(json.dumps({**start, **where, "gpus": int(gpus)}))
        draft.rename(self.attempt)
        header = {"schema": 1, "job": JOB, "attempt": number, "from_step": None, "steps": 100}
        self.write(header)

    def point(self, epoch: str, metrics: str = "{}") -> None:
        entry = {"t": time.time(), "step": int(epoch) * 10, "epoch": int(epoch)}
        self.write({**entry, "m": json.loads(metrics)})

    def write(self, entry: dict[str, object]) -> None:
        with (self.attempt / "journal.jsonl").open("a") as journal:
            journal.write(json.dumps(entry) + "\n")

    def say(self, *words: str) -> None:
        print(*words, flush=True)  # noqa: T201 - its log

    def log(self, *words: str) -> None:
        with (self.attempt / f"rank{RANK}.log").open("a") as log:
            print(*words, file=log)

    def wait(self) -> None:
        while not (CONTROL / f"{NAME}.go").exists():
            time.sleep(0.02)

    def stay(self) -> NoReturn:
        while True:
            time.sleep(1)

    def stubborn(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def kill(self, number: str) -> None:
        os.kill(os.getpid(), int(number))

    def fail(self, *words: str) -> NoReturn:
        record = {"rank": int(RANK), "time": time.time(), "exception": "ValueError"}
        error = self.attempt / f"rank{RANK}.error.json"
        error.write_text(json.dumps({**record, "message": " ".join(words)}))
        self.end("error", 1)

    def finish(self) -> NoReturn:
        self.end("finished", 0)

    def exit(self, code: str) -> NoReturn:
        sys.exit(int(code))

    def end(self, how: str, code: int) -> NoReturn:
        if self.attempt.is_dir() and RANK == "0":
            record = json.dumps({"end": how, "time": time.time(), "metrics": {}})
            (self.attempt / "exit.tmp").write_text(record)
            (self.attempt / "exit.tmp").rename(self.attempt / "exit.json")
        os._exit(code)


def main() -> None:
    worker = Worker()
    scripts = [CONTROL / f"{NAME}.rank{RANK}", CONTROL / NAME]
    script = next((s.read_text() for s in scripts if s.exists()), "claim\nfinish")
    for line in script.splitlines():
        act, *words = line.split(maxsplit=2 if line.startswith("point") else -1)
        getattr(worker, act)(*words)


if __name__ == "__main__":
    main()
