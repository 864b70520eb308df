"""The files that probes leave: what they are called, and the pictures in them."""

import re
from pathlib import Path

from orchestrator.jobs.files import damaged

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
    import numpy as np  # noqa: PLC0415  # a login node may lack it

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {
                name.removeprefix(PICTURE): arrays[name].tobytes()
                for name in arrays.files
                if name.startswith(PICTURE)
            }
    except FileNotFoundError:
        raise
    except Exception as error:  # noqa: BLE001  # zipfile and numpy meet damage with any of theirs
        raise damaged(path, str(error)) from None
