"""The pictures of a job's probes, as MLflow's image grid and its step slider want them named."""

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from PIL import Image

from orchestrator.jobs.files import damaged
from orchestrator.jobs.journal import Point
from orchestrator.jobs.layout import JobFolder
from orchestrator.jobs.probes import probes_by_step, read_pictures

WIDTH_PX = 300
"""Of a picture in the page's grid, which shows it at its own size."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG of one step, and a smaller one of it as WebP.

    ``time``: UTC epoch seconds of the measurement that it shows.
    """

    key: str
    step: int
    time: float
    content: bytes
    smaller: bytes

    @classmethod
    def of(cls, key: str, point: Point, png: bytes) -> Self:
        """A picture drawn at a point."""
        return cls(key, point.step, point.time, png, _smaller(png))

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Names and contents: the whole picture, and the smaller one that the page's grid shows.

        The page takes key, step and time apart at the plus signs. A picture's names are always the
        same, so that sending it again changes nothing.
        """
        same = hashlib.blake2b(self.content, digest_size=16).hexdigest()
        name = f"{self.key}+step+{self.step}+timestamp+{round(self.time * 1000)}+{same}"
        yield f"{name}.png", self.content
        yield f"{name}+compressed.webp", self.smaller


def probed(
    folder: JobFolder, points: Sequence[Point], *, after: int
) -> Iterator[tuple[Point, Path]]:
    """A job's probes at the steps of these points beyond ``after``: the point, and the file."""
    by_step = {point.step: point for point in points}
    for step, path in probes_by_step(folder.probes).items():
        if step > after and step in by_step:
            yield by_step[step], path


def pictures(point: Point, path: Path) -> list[Picture]:
    """What was drawn at a point.

    Raises:
        RootError: the file is damaged.
    """
    drawn = read_pictures(path)
    try:
        return [Picture.of(key, point, png) for key, png in drawn.items()]
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow says of bytes that are no PNG
        raise damaged(path, str(error)) from None


def _smaller(png: bytes) -> bytes:
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.thumbnail((WIDTH_PX, WIDTH_PX), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "webp", quality=90)
    return buffer.getvalue()
