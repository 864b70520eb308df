"""What Ray Tune says of its trials, told to the scribe of the driver in which Tune runs."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray.tune import Callback, Stopper
from ray.tune.schedulers import FIFOScheduler

from orchestrator.executors.ray_scribe import Scribe
from orchestrator.jobs.facts import End
from orchestrator.jobs.processes import Process


class OfThisProcess:
    """What has a scribe. Tune keeps a copy on disk, which nobody restores: without it."""

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Tidings(OfThisProcess, Callback):
    """What Tune says of its trials, told to a scribe."""

    def on_trial_result(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[Any],  # noqa: ARG002
        trial: Any,
        result: Mapping[str, Any],
        **_: Any,
    ) -> None:
        index = trial.config["index"]
        if "process" in result:
            self._scribe.start(index, Process.named(result["process"]), tuple(result["gpus"]))
        if "how" in result:
            self._scribe.end(index, End(**result["how"]))

    def on_trial_error(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[Any],  # noqa: ARG002
        trial: Any,
        **_: Any,
    ) -> None:
        """Its actor is gone, or could not start the ranks: nothing else ends a trial so."""
        self._scribe.lose(trial.config["index"], f"Ray lost it: {_words_of(trial)}")


class Search(OfThisProcess, FIFOScheduler):
    """Tune's scheduler: has the searches of sweeps decide when a trial has measured an epoch.

    Every trial goes on as far as Tune is concerned: who is to stop is told by orders, which the
    scribe obeys as those of a watch, so that the worker saves and leaves in order.
    """

    def __init__(self, scribe: Scribe) -> None:
        FIFOScheduler.__init__(self)  # type: ignore[no-untyped-call]
        OfThisProcess.__init__(self, scribe)

    def on_trial_result(
        self,
        tune_controller: Any,  # noqa: ARG002
        trial: Any,  # noqa: ARG002
        result: Mapping[str, Any],
    ) -> str:
        if "measured" in result:
            self._scribe.measured.set()
        return self.CONTINUE


class Over(OfThisProcess, Stopper):
    """Lets Tune end once every member has."""

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:  # noqa: ARG002
        return False

    def stop_all(self) -> bool:
        return self._scribe.over


def _words_of(trial: Any) -> str:
    """What Ray says of a trial that failed: the last line of a traceback, else the first line."""
    with suppress(OSError, TypeError):
        said = [line.strip() for line in Path(trial.error_file).read_text().splitlines()]
        _, *lines = filter(None, said)  # the first one has number and time
        return lines[-1 if any("Traceback" in line for line in lines) else 0]
    return "it does not say why"
