"""The files that our jobs leave when they end: attempts, journals, exits."""

import time
from unittest.mock import patch

from orchestrator.jobs.facts import Ending
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.layout import Root
from orchestrator.jobs.submissions import Submission

METRICS = ("train/loss", "train/lr", "train/grad_norm", "train/images_per_s")
RARE_METRICS = ("val/loss", "val/top1", "val/top5", "norms/median", "norms/max", "gates/mean")


def end_all(root: Root, points: int) -> None:
    """Every member of every submission ran once, on another machine, and finished."""
    with patch("os.fsync"):  # these files need not outlive the machine
        for folder in root.submissions():
            one = Submission.read(folder)
            for index in range(len(one.jobs)):
                _start(root, one, index, points)
                ended = {"end": Ending.FINISHED.value, "time": time.time(), "step": points - 1}
                publish(root.job(one.jobs[index]).attempt(1).exit, to_json(ended))


def _start(root: Root, one: Submission, index: int, points: int) -> None:
    """A member's attempt that measured so many points."""
    job = one.jobs[index]
    attempt = root.job(job).attempt(1)
    attempt.path.mkdir(parents=True)
    started: dict[str, object] = {"token": one.token, "index": index, "restart": 0, "schema": 1}
    started |= {"process": "node7/1:b:12:34", "host": "node7", "code_hash": one.snapshot}
    started |= {"time": time.time(), "content_hash": "c" * 64, "layout_hash": "l" * 64}
    started |= {"packages": dict.fromkeys(("python", "torch", "timm", "numpy"), "1.2.3")}
    publish(attempt.started, to_json(started))
    with JournalWriter(attempt.journal, Header(job, 1, None, points)) as journal:
        for step in range(points):
            names = METRICS if step % 10 else METRICS + RARE_METRICS
            journal.point(step, step // 2, dict.fromkeys(names, 1 / (step + 3)))
