"""Arrays by name in one compressed file, written and read without pickle."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.jobs.files import damaged


def packed(arrays: Mapping[str, Any]) -> bytes:
    """Arrays as one compressed npz."""
    import numpy as np  # noqa: PLC0415  # a login node may lack it

    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


@contextmanager
def unpacked(path: Path) -> Iterator[Any]:
    """The arrays in such a file; whatever is wrong with it is its damage, unless it is gone.

    Raises:
        FileNotFoundError: there is no such file.
        RootError: it is damaged.
    """
    import numpy as np  # noqa: PLC0415  # as above

    try:
        # opened here: numpy leaves a damaged file open
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except FileNotFoundError:
        raise
    except Exception as error:  # noqa: BLE001  # zipfile and numpy meet damage with any of theirs
        raise damaged(path, str(error)) from None
