"""What the runs of a group said of images, from the predictions that they left."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.errors import RootError
from orchestrator.jobs.facts import Attempt
from orchestrator.jobs.gather import attempts_on
from orchestrator.jobs.layout import Root
from orchestrator.jobs.predictions import Predictions, predictions_by_step
from orchestrator.results.contrasts import Judged
from orchestrator.results.result import Result

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Right = tuple[Sequence[bytes], NDArray[np.bool_]]
    """Keys of n images, and which of them are right."""

ACCURACY, MASKED, CLEAN, GAP = "/top1", "/top1_masked", "/clean_masked", "/gap"
"""The ends of the names of metrics that predictions tell image by image."""
ROUNDING = 1e-3
"""Points by which an accuracy may differ from that of its predictions."""


def judged(root: Root, groups: Sequence[Sequence[Result]], metric: str) -> list[Judged | None]:
    """Of each group what all its seeds that have a value said of images; None: not all left it.

    Predictions count if they are of the very value that is reported: those of the last epoch, of
    the set that the metric names. Of the clean images of an evaluation that did not keep them those
    of its parent count, where they tell which of the shared classes is the likeliest.
    """
    if not metric.endswith((ACCURACY, MASKED, CLEAN, GAP)):
        return [None] * len(groups)
    told = [[one for one in group if one.counts and metric in one.metrics] for group in groups]
    jobs = {job for group in told for one in group for job in (one.id, one.config.get("of")) if job}
    kept = Kept(root, attempts_on(root, sorted(jobs)))
    if not metric.endswith(GAP):
        return [together([kept.right(one, metric) for one in group]) for group in told]
    stem = metric.removesuffix(GAP)
    return [_gap(kept, group, stem) for group in told]


def _gap(kept: "Kept", group: Sequence[Result], stem: str) -> Judged | None:
    clean = together([kept.right(one, stem + CLEAN) for one in group])
    less = together([kept.right(one, stem + MASKED) for one in group])
    return replace(clean, less=less) if clean and less else None


class Kept:
    """The predictions that jobs left."""

    def __init__(self, root: Root, attempts: Mapping[str, Sequence[Attempt]]) -> None:
        self.root, self.attempts = root, attempts

    def right(self, one: Result, metric: str) -> "Right | None":
        """Which images a job has right by a metric; None: nothing tells, or it is another value."""
        found, value = self._newest(one.id), one.metrics.get(metric)
        if found is None or value is None:
            return None
        if metric.endswith(CLEAN):
            told = _masked(found.clean) if found.clean else self._of_parent(one, found)
        elif metric.endswith(MASKED):
            told = _masked(found)
        else:
            told = _of(found, found.right())
        if told is None or not len(told[1]):
            return None
        accuracy = 100 * float(told[1].mean())
        return told if math.isclose(accuracy, value, abs_tol=ROUNDING) else None

    def _of_parent(self, one: Result, found: Predictions) -> "Right | None":
        clean = self._newest(one.config.get("of") or "")
        return None if clean is None else _among(clean, found)

    def _newest(self, job: str) -> Predictions | None:
        if job not in self.attempts:
            return None
        files = predictions_by_step(self.root.job(job).predictions, self.attempts[job])
        try:
            return Predictions.read(files[max(files)]) if files else None
        except (RootError, FileNotFoundError):
            return None


def _of(found: Predictions, right: "NDArray[np.bool_]") -> "Right":
    return found.key.tolist(), right


def _masked(found: Predictions) -> "Right | None":
    return None if found.masked is None else _of(found, found.masked == found.label)


def _among(clean: Predictions, shifted: Predictions) -> "Right":
    """Of the clean images of the shifted ones' classes: whether theirs is the likeliest of these.

    Only the likeliest few classes of an image are kept. Where none of them is of the shared ones
    it counts as wrong: if it was right, the accuracy is too low, and is not the reported one.
    """
    import numpy as np  # noqa: PLC0415 - a login node may lack it

    shared = np.unique(shifted.label)
    mine = np.isin(clean.label, shared)
    kept = np.isin(clean.classes[mine], shared)
    likeliest = np.take_along_axis(clean.classes[mine], kept.argmax(axis=1)[:, None], axis=1)[:, 0]
    return clean.key[mine].tolist(), kept.any(axis=1) & (likeliest == clean.label[mine])


def together(found: "Sequence[Right | None]") -> Judged | None:
    """The images of which all of them tell; None: one tells of none, or they have none in common.

    Raises:
        ModuleNotFoundError: numpy is not installed.
    """
    import numpy as np  # noqa: PLC0415 - a login node may lack it

    whole = [one for one in found if one is not None]
    if not whole or len(whole) < len(found):
        return None
    places = [{key: place for place, key in enumerate(keys)} for keys, _ in whole]
    keys = [key for key in places[0] if all(key in one for one in places)]
    if not keys:
        return None
    rights = [
        right[[at[key] for key in keys]] for (_, right), at in zip(whole, places, strict=True)
    ]
    return Judged(keys=keys, right=np.stack(rights))
