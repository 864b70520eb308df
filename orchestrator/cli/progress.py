"""A progress bar on a terminal's error stream, so that no log and no output has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.worker.data.track import Track

Thing = TypeVar("Thing")


def bar(what: str) -> Track:
    """Passes things through and shows how many of how many went by."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)

    def show(things: Iterable[Thing], total: int) -> Iterable[Thing]:
        return track(
            things,
            what,
            total=total,
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    return show
