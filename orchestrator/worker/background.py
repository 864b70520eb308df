"""One thread that writes while training goes on: in order, and nothing is lost in silence.

What comes later rests on what came before (a checkpoint goes on beyond the weights of its epoch),
so after a job that failed no other one is done.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

WAITING = 2
"""So many jobs may wait or run; who brings another one waits until the first is done."""


class Background:
    """Runs what it is given, one after the other; what fails is raised to whoever comes next."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="background")
        self._given: deque[Future[None]] = deque()
        self._fault: BaseException | None = None

    def give(self, job: Callable[[], None]) -> None:
        """Have ``job`` done.

        Raises:
            Exception: what an earlier job raised.
        """
        while self._given and (self._given[0].done() or len(self._given) >= WAITING):
            self._given.popleft().result()
        self._given.append(self._thread.submit(self._do, job))

    def wait(self) -> None:
        """Return once all that was given is done.

        Raises:
            Exception: what one of them raised; those after it were not done.
        """
        while self._given:
            self._given.popleft().result()

    def _do(self, job: Callable[[], None]) -> None:
        if self._fault is not None:
            raise self._fault
        try:
            job()
        except BaseException as fault:
            self._fault = fault
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        self._thread.shutdown(wait=True)
        if failed is None:
            self.wait()
