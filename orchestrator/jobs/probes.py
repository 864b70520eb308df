"""The files that probes leave: their names, their pictures, and what they tell of emergence."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.jobs.files import damaged

if TYPE_CHECKING:
    from model.emergence import Look

PICTURE = "picture/"
"""Before a picture's name: an array of that name holds the bytes of a PNG, uint8."""

_NAME = re.compile(r"(?P<attempt>\d+)-(?P<step>\d+)\.npz")


def probe_file(folder: Path, attempt: int, step: int) -> Path:
    """Where an attempt publishes what its probe found at a step."""
    return folder / f"{attempt:03d}-{step:09d}.npz"


def probes_by_step(folder: Path) -> dict[int, Path]:
    """For each step that was probed, ascending, the file of its newest attempt."""
    found = {}
    for path in folder.glob("*.npz"):
        if named := _NAME.fullmatch(path.name):
            found[int(named["step"]), int(named["attempt"])] = path
    return {step: found[step, attempt] for step, attempt in sorted(found)}


def read_pictures(path: Path) -> dict[str, bytes]:
    """The PNGs in a probe's file, by name; none in one that was written without.

    Raises:
        FileNotFoundError: there is no such file.
        RootError: it is damaged.
    """
    with _arrays(path) as arrays:
        return {
            name.removeprefix(PICTURE): arrays[name].tobytes()
            for name in arrays.files
            if name.startswith(PICTURE)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeHistory:
    """What the probes of a job tell about the emergence of artifacts, in order of epochs.

    Attributes:
        looks: one of each probe.
        batches: SHA-256 of the lists of images that were probed; one, unless the data changed.
    """

    looks: "tuple[Look, ...]"
    batches: frozenset[str]


def read_history(folder: Path) -> ProbeHistory:
    """The probes in a job's folder of probes, for `model.emergence.emergence`.

    Those that older code left say neither their epoch nor who attended to outliers, and are passed
    over.

    Raises:
        RootError: a file is damaged.
    """
    read = [_read_look(path) for path in probes_by_step(folder).values()]
    found = [each for each in read if each is not None]
    return ProbeHistory(
        looks=tuple(look for look, _ in found), batches=frozenset(batch for _, batch in found)
    )


def _read_look(path: Path) -> "tuple[Look, str] | None":
    from model.emergence import Look  # noqa: PLC0415  # numpy, as below

    with _arrays(path) as arrays:
        if "probe/epoch" not in arrays.files:
            return None
        look = Look(
            epoch=int(arrays["probe/epoch"]),
            outliers=arrays["norms/by_block/outliers_by_image"],
            patches=arrays["norms/tokens"].shape[-1],
            received=arrays["attention/outliers_received_later"],
        )
        return look, str(arrays["images/sha256"])


@contextmanager
def _arrays(path: Path) -> Iterator[Any]:
    """The arrays in a probe's file; whatever is wrong with it is its damage, unless it is gone."""
    import numpy as np  # noqa: PLC0415  # a login node may lack it

    try:
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except FileNotFoundError:
        raise
    except Exception as error:  # noqa: BLE001  # zipfile and numpy meet damage with any of theirs
        raise damaged(path, str(error)) from None
