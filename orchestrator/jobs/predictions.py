"""What a model said of each image: kept, so that two runs can be compared image by image."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from orchestrator.jobs.arrays import packed, unpacked
from orchestrator.jobs.facts import Attempt
from orchestrator.jobs.files import damaged
from orchestrator.jobs.saved import saved_in, saved_name, still_count

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LIKELIEST = 5
"""So many classes are kept of each image; of fewer, all."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Of n images, in the order of the index.

    Attributes:
        key: their keys, ``(n,)`` bytes.
        label: what they show, ``(n,)`` uint16: a class of the model's head.
        classes: the most likely ones, the likeliest first, ``(n, 5)`` uint16.
        probability: of the likeliest, ``(n,)`` float16.
        loss: cross-entropy in nats, ``(n,)`` float32.
        masked: the likeliest of the classes that the images' set shares with the head, ``(n,)``
            uint16; None where that is no other question.
        clean: what the same model said of training's own validation images of the shared classes;
            None where that is no other question. Evaluations of older programs did not keep it.
    """

    key: "NDArray[np.bytes_]"
    label: "NDArray[np.uint16]"
    classes: "NDArray[np.uint16]"
    probability: "NDArray[np.float16]"
    loss: "NDArray[np.float32]"
    masked: "NDArray[np.uint16] | None" = None
    clean: "Predictions | None" = None

    def __len__(self) -> int:
        return len(self.key)

    def right(self) -> "NDArray[np.bool_]":
        """Of which images the likeliest class is the label, ``(n,)``."""
        found: NDArray[np.bool_] = self.classes[:, 0] == self.label
        return found

    def to_bytes(self) -> bytes:
        """The content of a file of them."""
        clean = _arrays(self.clean) if self.clean else {}
        return packed({**_arrays(self), **{CLEAN + name: array for name, array in clean.items()}})

    @classmethod
    def read(cls, path: Path) -> Self:
        """The predictions in a file.

        Raises:
            FileNotFoundError: there is no such file.
            RootError: it is damaged.
        """
        with unpacked(path) as arrays:
            found, clean = (
                {name: arrays[lead + name] for name in ARRAYS if lead + name in arrays.files}
                for lead in ("", CLEAN)
            )
        try:
            return cls(**found, clean=cls(**clean) if clean else None)
        except TypeError as error:
            raise damaged(path, str(error)) from None


ARRAYS = tuple(field.name for field in fields(Predictions) if field.name != "clean")
CLEAN = "clean/"
"""Before the names of the arrays of ``clean`` in a file."""


def _arrays(found: Predictions) -> "dict[str, NDArray[Any]]":
    every = {name: getattr(found, name) for name in ARRAYS}
    return {name: array for name, array in every.items() if array is not None}


def in_both(one: Sequence[bytes], other: Sequence[bytes]) -> tuple[list[int], list[int]]:
    """The places, in either of two lists of images' keys, of those that both have."""
    places = {key: place for place, key in enumerate(other)}
    here = [place for place, key in enumerate(one) if key in places]
    return here, [places[one[place]] for place in here]


def predictions_file(folder: Path, attempt: int, step: int) -> Path:
    """Where an attempt publishes its predictions after a step."""
    return folder / f"{saved_name(attempt, step)}.npz"


def predictions_by_step(folder: Path, attempts: Sequence[Attempt]) -> dict[int, Path]:
    """For each step of which they are kept, ascending, the file that still counts."""
    return {one.step: one.path for one in still_count(saved_in(folder), attempts)}
