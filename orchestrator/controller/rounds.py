"""Rounds of a watch until nothing more happens by itself; a store in use is shown each."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from orchestrator.controller.mirroring import Mirroring
from orchestrator.controller.watch import Round, tend_all
from orchestrator.jobs.layout import Root


def rounds(
    root: Root, sweeps: Sequence[str], every: float | None = None, *, once: bool = False
) -> Iterator[Round]:
    """Tend the sweeps, and yield what each round found; after ``once`` no other is begun.

    The last one is yielded again when the store has it, with what the store lacks among its notes.

    Args:
        root: the run root.
        sweeps: names of launched sweeps.
        every: seconds between two rounds, in place of what the places bear.
        once: whether one round is all.

    Raises:
        Refused: a place said no to a submission.
    """
    with Mirroring(root, sweeps) as mirror:
        while True:
            look = tend_all(root, sweeps)
            mirror.show(look.found)
            yield replace(look, notes=(*look.notes, *mirror.trouble))
            if once or look.settled:
                break
            time.sleep(every or look.patience)
    yield replace(look, notes=(*look.notes, *mirror.trouble))
