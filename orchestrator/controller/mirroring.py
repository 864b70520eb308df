"""A store kept up to date beside a long verb, whose rounds do not wait for it."""

import logging
import os
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from types import TracebackType
from typing import Self

from orchestrator.controller.outline import outlines_of
from orchestrator.controller.survey import Survey
from orchestrator.controller.sync import store_in_use, sync_looks
from orchestrator.errors import BusyError, OrchestrateError
from orchestrator.jobs.layout import Root

EVERY_S = 15.0
"""Between the end of one sync and the next."""
LAST_S = 120.0
"""So long the end waits for the last sync."""
logger = logging.getLogger(__name__)


class Mirroring:
    """Shows in a store, in a thread of its own, what the rounds of a watch found.

    What the store does not take is sent with the next look. The end of the block waits for the
    last one, unless an error ends it. Without a store in use nothing happens.
    """

    def __init__(self, root: Root, sweeps: Sequence[str]) -> None:
        self._root, self._sweeps = root, sweeps
        self._uri = store_in_use(root)
        self._trouble: str | None = None
        if self._uri and not find_spec("mlflow"):
            if "MLFLOW_TRACKING_URI" in os.environ:
                self._trouble = (
                    "MLFLOW_TRACKING_URI is set, but mlflow is not installed here. "
                    "Try: pip install 'orchestrate-vit[mlflow]'"
                )
            self._uri = None
        self._newest: Survey | None = None
        self._news, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)

    def __enter__(self) -> Self:
        if self._uri:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._uri and kind is None:
            self._ending.set()
            self._news.set()
            self._thread.join(LAST_S)
            if self._thread.is_alive():
                self._trouble = "MLflow did not answer in time; the next sync catches up."

    def show(self, found: Survey) -> None:
        """Have this look shown soon; a newer one takes its place."""
        if self._uri:
            self._newest = found
            self._news.set()

    @property
    def trouble(self) -> tuple[str, ...]:
        """Why the store lacks something at the moment."""
        return (self._trouble,) if self._trouble else ()

    def _work(self) -> None:
        shown: Survey | None = None
        last = False
        while not last:
            self._news.wait()
            self._news.clear()
            last = self._ending.is_set()
            found = self._newest
            if found is not None and found is not shown:
                self._sync(found)
                shown = found
            self._ending.wait(EVERY_S)

    def _sync(self, found: Survey) -> None:
        assert self._uri is not None
        try:
            done = sync_looks(self._root, outlines_of(self._root, self._sweeps), found, self._uri)
            self._trouble = "; ".join(done.troubles) or None
        except BusyError:
            self._trouble = None  # somebody else is at it
        except OrchestrateError as error:
            self._trouble = str(error)
        except Exception as error:  # a defect of the mirror must not end a watch
            logger.exception("the mirror")
            self._trouble = f"MLflow is not up to date: {type(error).__name__}: {error}"
