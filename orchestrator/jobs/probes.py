"""The files that probes leave: their names, their pictures, and what they tell of emergence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.jobs.arrays import unpacked
from orchestrator.jobs.facts import Attempt
from orchestrator.jobs.saved import saved_in, saved_name, still_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from model.emergence import Look
    from model.figures import Histogram

PICTURE = "picture/"
"""Before a picture's name: an array of that name holds the bytes of a PNG, uint8."""
THUMBNAILS = "images/thumbnails"
"""The images whose maps are in the file, reduced: uint8 ``(n, C, h, w)``; older code left none."""


def probe_file(folder: Path, attempt: int, step: int) -> Path:
    """Where an attempt publishes what its probe found at a step."""
    return folder / f"{saved_name(attempt, step)}.npz"


def probes_by_step(folder: Path, attempts: Sequence[Attempt] = ()) -> dict[int, Path]:
    """For each step that was probed, ascending, the file of its newest attempt.

    With the job's ``attempts`` those alone that still count; without, all that there are.
    """
    return {one.step: one.path for one in still_count(saved_in(folder), attempts)}


def read_pictures(path: Path) -> dict[str, bytes]:
    """The PNGs in a probe's file, by name; none in one that was written without.

    Raises:
        FileNotFoundError: there is no such file.
        RootError: it is damaged.
    """
    with unpacked(path) as arrays:
        return {
            name.removeprefix(PICTURE): arrays[name].tobytes()
            for name in arrays.files
            if name.startswith(PICTURE)
        }


def read_batch(path: Path) -> str:
    """SHA-256 of the list of images that a probe was made on; empty where older code made it.

    Raises:
        FileNotFoundError: there is no such file.
        RootError: it is damaged.
    """
    with unpacked(path) as arrays:
        return str(arrays["images/sha256"]) if "images/sha256" in arrays.files else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeHistory:
    """What the probes of a job tell about the emergence of artifacts, in order of epochs.

    Attributes:
        looks: one of each probe.
        batches: SHA-256 of the lists of images that were probed; one, unless the data changed.
    """

    looks: "tuple[Look, ...]"
    batches: frozenset[str]


def read_history(folder: Path, attempts: Sequence[Attempt]) -> ProbeHistory:
    """The probes in a job's folder of probes that still count, for `model.emergence.emergence`.

    Those that older code left say neither their epoch nor who attended to outliers, and are passed
    over.

    Raises:
        RootError: a file is damaged.
    """
    read = [_read_look(path) for path in probes_by_step(folder, attempts).values()]
    found = [each for each in read if each is not None]
    return ProbeHistory(
        looks=tuple(look for look, _ in found), batches=frozenset(batch for _, batch in found)
    )


def _read_look(path: Path) -> "tuple[Look, str] | None":
    with unpacked(path) as arrays:
        if "probe/epoch" not in arrays.files:
            return None
        return look_in(arrays), str(arrays["images/sha256"])


def look_in(arrays: "Mapping[str, NDArray[Any]]") -> "Look":
    """What the rule of emergence takes of a probe's arrays."""
    from model.emergence import Look  # noqa: PLC0415  # of numpy, which a login node may lack

    return Look(
        epoch=int(arrays["probe/epoch"]),
        outliers=arrays["norms/by_block/outliers_by_image"],
        patches=arrays["norms/tokens"].shape[-1],
        received=arrays["attention/outliers_received_later"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Norms:
    """The patch norms of the last block at one probe. ``epoch``: None where older code made it."""

    epoch: int | None
    histogram: "Histogram"


def read_norms(path: Path) -> Norms | None:
    """What a probe's file tells of the patch norms before the final norm; None: nothing.

    Raises:
        FileNotFoundError: there is no such file.
        RootError: it is damaged.
    """
    from model.figures import Histogram  # noqa: PLC0415  # as above

    with unpacked(path) as arrays:
        if "norms/by_block/histogram" not in arrays.files:
            return None
        return Norms(
            epoch=int(arrays["probe/epoch"]) if "probe/epoch" in arrays.files else None,
            histogram=Histogram(
                counts=arrays["norms/by_block/histogram"][-1],
                edges=arrays["norms/histogram_edges"],
            ),
        )
