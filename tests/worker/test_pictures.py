import builtins
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model.figures import PICTURES
from model.probes.base import Findings
from orchestrator.config import Placement, RunConfig
from orchestrator.errors import DataError
from orchestrator.jobs.datasets import load_manifest
from orchestrator.jobs.probes import THUMBNAILS
from orchestrator.worker.data.helpers import Helpers
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import load_index
from orchestrator.worker.measure import probe
from orchestrator.worker.pictures import first_images, pictures, reduced
from orchestrator.worker.pixels import normalised
from orchestrator.worker.ranks import Ranks
from orchestrator.worker.trainer import Trainer

GATED = {"model__gate": {"position": "sdpa"}, "probe__images": 20}


@pytest.fixture
def val(digits: Path) -> Iterator[SplitImages]:
    manifest = load_manifest(digits, "digits")
    with closing(SplitImages(load_index(digits, manifest, "val"))) as images:
        yield images


@pytest.fixture
def trainer(tiny: Callable[..., RunConfig]) -> Trainer:
    trainer = Trainer.fresh(tiny(**GATED), Ranks(0, 1, torch.device("cpu")), Placement())
    trainer.model.eval()
    return trainer


@pytest.fixture
def findings(trainer: Trainer, val: SplitImages) -> Findings:
    found = probe(trainer, val, Helpers(), 1)
    assert found is not None
    return found


def test_a_gated_model_has_every_picture(
    trainer: Trainer, val: SplitImages, findings: Findings
) -> None:
    drawn = pictures(trainer.config, val, findings, 3)

    assert drawn.keys() == {THUMBNAILS, *(f"picture/{name}" for name in PICTURES)}
    assert (drawn[THUMBNAILS] == first_images(trainer.config, val)).all()  # small as they are
    assert all(picture.dtype == np.uint8 for picture in drawn.values())


def test_the_images_shown_are_those_of_the_maps(
    trainer: Trainer, val: SplitImages, findings: Findings
) -> None:
    shown = first_images(trainer.config, val)
    trainer.model.norm = torch.nn.Identity()  # the probe looks before the final norm
    with torch.no_grad():
        tokens = trainer.model.forward_features(normalised(torch.from_numpy(shown), "half"))
    norms = tokens[:, 1:].norm(dim=-1)

    assert shown.shape == (6, 1, 8, 8)
    assert findings.arrays["norms/maps"].reshape(6, -1) == pytest.approx(norms.numpy(), rel=1e-5)


def test_fewer_images_than_maps_are_all_shown(
    tiny: Callable[..., RunConfig], val: SplitImages
) -> None:
    trainer = Trainer.fresh(tiny(probe__images=2), Ranks(0, 1, torch.device("cpu")), Placement())
    found = probe(trainer, val, Helpers(), 1)
    assert found is not None

    assert len(first_images(trainer.config, val)) == len(found.arrays["norms/maps"]) == 2
    assert "picture/norm_map" in pictures(trainer.config, val, found, 1)


def test_images_that_cannot_be_read_again_cost_the_pictures_and_no_more(
    trainer: Trainer,
    val: SplitImages,
    findings: Findings,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def gone(_: SplitImages, position: int) -> Any:
        raise DataError(f"image {position} is gone")

    monkeypatch.setattr(SplitImages, "image", gone)

    assert pictures(trainer.config, val, findings, 1) == {}
    assert "is gone" in "".join(capfd.readouterr())


def test_images_are_reduced_by_averaging_whole_squares() -> None:
    images = np.zeros((2, 3, 224, 224), np.uint8)
    images[1, :, :3, :3] = 90

    small = reduced(images)

    assert small.shape == (2, 3, 74, 74)
    assert small[1, 0, 0, 0] == 90
    assert small.sum() == 3 * 90


def test_without_matplotlib_there_are_no_pictures_and_the_log_says_why(
    trainer: Trainer,
    val: SplitImages,
    findings: Findings,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)

    assert pictures(trainer.config, val, findings, 1).keys() == {THUMBNAILS}
    assert "No module named 'matplotlib" in "".join(capfd.readouterr())
