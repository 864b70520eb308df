import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.jobs.datasets import Manifest
from orchestrator.worker.data.digits import prepare_digits
from orchestrator.worker.data.samples import About, Sample
from orchestrator.worker.data.shards import ShardLimits, write_dataset
from orchestrator.worker.draws import uniforms

Paint = Callable[..., bytes]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """The digits, shared by all tests: read only."""
    data_root = tmp_path_factory.mktemp("data")
    return data_root, prepare_digits(data_root, "digits")


@pytest.fixture
def spoilable(prepared: tuple[Path, Manifest], tmp_path: Path) -> tuple[Path, Manifest]:
    """The digits, in a copy that a test may damage."""
    shutil.copytree(prepared[0] / "digits", tmp_path / "digits")
    return tmp_path, prepared[1]


@pytest.fixture(scope="session")
def paint() -> Paint:
    """Makes the bytes of an image file with a noisy picture, another for each seed."""

    def make(
        seed: int = 0, size: tuple[int, int] = (12, 10), mode: str = "RGB", kind: str = "PNG"
    ) -> bytes:
        width, height = size
        noise = (uniforms((height, width, 3), "picture", seed) * 256).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noise).convert(mode).save(buffer, format=kind)
        return buffer.getvalue()

    return make


@pytest.fixture
def fill(paint: Paint) -> Callable[[Path, dict[str, int]], Path]:
    """Makes a folder of so many PNGs per class folder."""

    def make(top: Path, classes: dict[str, int]) -> Path:
        for number, (name, images) in enumerate(classes.items()):
            (top / name).mkdir(parents=True)
            for n in range(images):
                (top / name / f"{n:03d}.png").write_bytes(paint(1000 * number + n))
        return top

    return make


@pytest.fixture(scope="session")
def spoilt(tmp_path_factory: pytest.TempPathFactory, paint: Paint) -> tuple[Path, Manifest]:
    """24 images of four classes in shards of ten; four of them, and one of four for validation,
    end too early."""
    data_root = tmp_path_factory.mktemp("data")
    samples = []
    for n in range(28):
        blob = paint(n, kind="JPEG")
        cut = n in {3, 8, 9, 23, 25}
        split = "train" if n < 24 else "val"
        samples.append(Sample(f"k{n}", split, n % 4, blob[:-60] if cut else blob, "jpg"))
    about = About(name="set", source="a test", split_rule="by hand", classes=("a", "b", "c", "d"))
    return data_root, write_dataset(data_root, about, samples, ShardLimits(samples=10))
