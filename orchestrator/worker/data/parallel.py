"""Work on shards in processes that end with the one that asked."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import active_children, get_context, parent_process
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def processors() -> int:
    """Of this machine, those that this process may use: on a cluster, what the job was given."""
    return len(os.sched_getaffinity(0))


def in_processes(
    work: Callable[[Task], Result], tasks: Sequence[Task], processes: int
) -> Iterator[Result]:
    """``work`` of each task, in the order of tasks; a single one is done in this process.

    ``work`` and what goes in and out are pickled. Whatever ends the iteration early, a kill of this
    process included, ends the others.
    """
    processes = min(processes, len(tasks))
    if processes <= 1:
        yield from map(work, tasks)
        return
    # Not forked: a progress bar has a thread, whose locks a fork would keep as they are.
    context = get_context("spawn")
    before = set(active_children())
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_serve) as pool:
        try:
            yield from pool.map(work, tasks)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in set(active_children()) - before:
                child.terminate()
            raise


def _serve() -> None:
    """Leave Ctrl-C to the one that asked, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
