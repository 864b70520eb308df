"""A store kept up to date beside a long verb: one that is away holds nothing up."""

import logging
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from types import TracebackType
from typing import Self

from orchestrator.controller.survey import Survey
from orchestrator.controller.sync import plans_of, store_in_use
from orchestrator.errors import BusyError, StoreError
from orchestrator.jobs.layout import Root

EVERY_S = 15.0
"""Between the end of one sync and the next."""
logger = logging.getLogger(__name__)


class Mirroring:
    """Shows in a store, in a thread of its own, what the rounds of a watch found.

    What the store does not take is told once, and sent with the next look; the end of the block
    waits for the last one. Without a store in use nothing happens.
    """

    def __init__(self, root: Root, sweeps: Sequence[str]) -> None:
        self._root, self._sweeps = root, sweeps
        self._uri = store_in_use(root) if find_spec("mlflow") else None
        self._looks: queue.SimpleQueue[Survey | None] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)
        self._trouble: str | None = None

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
            self._looks.put(None)
            self._ending.set()
            self._thread.join()

    def show(self, found: Survey) -> None:
        """Have this look shown soon; a newer one takes its place."""
        self._looks.put(found)

    @property
    def trouble(self) -> tuple[str, ...]:
        """Why the store lacks something at the moment."""
        return (self._trouble,) if self._trouble else ()

    def _work(self) -> None:
        last = False
        while not last:
            looks = [self._looks.get()]
            with suppress(queue.Empty):
                while True:
                    looks.append(self._looks.get_nowait())
            last = looks[-1] is None
            found = next((look for look in reversed(looks) if look is not None), None)
            if found is not None:
                self._sync(found)
            self._ending.wait(EVERY_S)

    def _sync(self, found: Survey) -> None:
        from orchestrator.mirror.sync import sync  # noqa: PLC0415 - mlflow takes seconds to load

        assert self._uri is not None
        try:
            plans = plans_of(self._root, self._sweeps)
            done = sync(self._root, self._uri, [plan.shown(found) for plan in plans])
            self._trouble = next(iter(done.refused.values()), None)
        except BusyError:
            self._trouble = None  # somebody else is at it
        except StoreError as error:
            self._trouble = str(error)
        except Exception as error:  # a defect of the mirror must not end a watch
            logger.exception("the mirror")
            self._trouble = f"MLflow is not up to date: {type(error).__name__}: {error}"
