import hashlib
import io
import pickle
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.probing_ranks import (
    IMAGES,
    PROBE_BATCH,
    Probing,
    distributed,
    probe_as_rank,
    sharded,
)

from model.probes.base import Array, Findings
from orchestrator.config import Placement, RunConfig
from orchestrator.jobs.arrays import packed
from orchestrator.jobs.datasets import load_manifest
from orchestrator.jobs.predictions import Predictions, predictions_file
from orchestrator.jobs.probes import probe_file, read_history
from orchestrator.worker import measure, passes
from orchestrator.worker.data.helpers import Helpers
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import load_index, probe_positions
from orchestrator.worker.measure import Evaluation, probe_batch
from orchestrator.worker.ranks import Ranks
from orchestrator.worker.trainer import Trainer

CONFIG = RunConfig.from_plain(
    {
        "data": {"name": "digits"},
        "model": {
            "img_size": 8,
            "patch_size": 4,
            "in_chans": 1,
            "num_classes": 10,
            "dim": 16,
            "depth": 2,
            "heads": 2,
            "registers": 2,
            "gate": {"position": "sdpa"},
            "layer_scale": 0.5,
        },
        "probe": {"images": IMAGES},
    }
)


@pytest.fixture(scope="module")
def alone(
    digits: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Findings, Array, Evaluation]:
    folder = tmp_path_factory.mktemp("alone")
    return probed(Probing(CONFIG, digits, folder, distributed), world=1)


def probed(probing: Probing, *, world: int) -> Any:
    """What the first of ``world`` ranks found, all of them processes that end well."""
    context = get_context("spawn")
    ranks = [
        context.Process(target=probe_as_rank, args=(rank, world, probing)) for rank in range(world)
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(timeout=120)
    for process in ranks:
        if process.is_alive():
            process.kill()
    assert [process.exitcode for process in ranks] == [0] * world
    others = [pickle.loads((probing.folder / f"{r}.pickle").read_bytes()) for r in range(world)]  # noqa: S301
    assert [found is None for found, *_ in others] == [rank > 0 for rank in range(world)]
    assert [each.predictions is None for *_, each in others] == [r > 0 for r in range(world)]
    assert all(each.metrics == others[0][2].metrics for *_, each in others)
    return others[0]


@pytest.mark.slow
@pytest.mark.parametrize("build", [distributed, sharded])
def test_two_ranks_find_what_one_finds(
    digits: Path, tmp_path: Path, alone: tuple[Findings, Array, Evaluation], build: Any
) -> None:
    assert -(-IMAGES // 2) > 4 * PROBE_BATCH >= IMAGES // 2  # one rank has a pass less

    found, gradients, evaluation = probed(Probing(CONFIG, digits, tmp_path, build), world=2)

    expected, whole, evaluated = alone
    assert found.scalars == pytest.approx(expected.scalars, rel=1e-5, abs=1e-6)
    assert found.arrays.keys() == expected.arrays.keys()
    assert (found.arrays["images/keys"] == expected.arrays["images/keys"]).all()
    for name in ("norms/tokens", "norms/maps", "attention/by_head/entropy", "gates/by_head/mean"):
        np.testing.assert_allclose(found.arrays[name], expected.arrays[name], rtol=1e-3)
    assert gradients == pytest.approx(whole, rel=1e-5)
    assert evaluation.metrics == pytest.approx(evaluated.metrics, rel=1e-6)
    for name in ("key", "label", "classes"):
        ours, theirs = (getattr(e.predictions, name) for e in (evaluation, evaluated))
        np.testing.assert_array_equal(ours, theirs)


def test_metrics_can_be_told_from_the_predictions_that_are_kept(
    alone: tuple[Findings, Array, Evaluation], digits: Path, tmp_path: Path
) -> None:
    metrics, found = alone[2].metrics, alone[2].predictions
    assert found is not None
    file = predictions_file(tmp_path, 1, 171)
    file.write_bytes(found.to_bytes())

    kept = Predictions.read(file)

    index = load_index(digits, load_manifest(digits, "digits"), "val")
    assert (kept.key == index.key[:IMAGES]).all()
    assert (kept.label == index.label[:IMAGES]).all()
    assert 100 * kept.right().sum() / IMAGES == metrics["val/top1"]
    among_five = (kept.classes == kept.label[:, None]).any(axis=1)
    assert 100 * among_five.sum() / IMAGES == metrics["val/top5"]
    assert kept.loss.mean(dtype=np.float64) == pytest.approx(metrics["val/loss"], rel=1e-12)
    assert (kept.classes.dtype, kept.probability.dtype) == (np.uint16, np.float16)
    assert ((kept.probability >= 0.1) & (kept.probability <= 1)).all()


def test_a_probe_says_of_which_images_and_when(
    alone: tuple[Findings, Array, Evaluation], digits: Path
) -> None:
    arrays = alone[0].arrays

    keys = [bytes(key) for key in arrays["images/keys"]]
    assert len(set(keys)) == IMAGES == arrays["norms/tokens"].shape[1]
    assert str(arrays["images/sha256"]) == hashlib.sha256(b"\n".join(keys)).hexdigest()
    assert arrays["probe/epoch"] == 3


def test_the_hash_differs_where_the_list_does(digits: Path) -> None:
    index = load_index(digits, load_manifest(digits, "digits"), "val")
    batches = [probe_batch(index, probe_positions(index, n), 1) for n in (20, 20, 21)]

    hashes = [str(batch["images/sha256"]) for batch in batches]

    assert hashes[0] == hashes[1] != hashes[2]


def test_a_probe_can_be_read_back_for_the_rule_of_emergence(
    alone: tuple[Findings, Array, Evaluation], tmp_path: Path
) -> None:
    probe_file(tmp_path, 1, 171).write_bytes(packed(alone[0].arrays))

    history = read_history(tmp_path, ())

    (look,) = history.looks
    assert (look.epoch, look.patches) == (3, 4)
    assert look.outliers.shape == (2, IMAGES)
    assert look.received.shape == (2,)
    assert history.batches == {str(alone[0].arrays["images/sha256"])}


def test_what_is_packed_needs_no_pickle(alone: tuple[Findings, Array, Evaluation]) -> None:
    content = packed(alone[0].arrays)

    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        assert {name: arrays[name].shape for name in arrays.files} == {
            name: np.shape(array) for name, array in alone[0].arrays.items()
        }


def test_images_are_measured_in_the_order_of_their_keys(
    alone: tuple[Findings, Array, Evaluation], digits: Path
) -> None:
    manifest = load_manifest(digits, "digits")
    with closing(SplitImages(load_index(digits, manifest, "val"))) as images:
        positions = probe_positions(images.index, IMAGES)

        assert (alone[0].arrays["images/keys"] == images.index.key[positions]).all()


def test_a_model_is_looked_at_on_the_scale_it_was_trained_on(
    digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Digits are grey, and ImageNet's scale is of colours: here only its name counts."""
    scaled, asked = passes.normalised, []
    monkeypatch.setattr(
        passes, "normalised", lambda images, by: asked.append(by) or scaled(images, "half")
    )
    data = CONFIG.data.model_copy(update={"normalisation": "imagenet"})
    trainer = Trainer.fresh(CONFIG, Ranks(0, 1, torch.device("cpu")), Placement())
    trainer.config = CONFIG.model_copy(update={"data": data})
    trainer.model.eval()
    with closing(SplitImages(load_index(digits, load_manifest(digits, "digits"), "val"))) as images:
        measure.evaluate(trainer, images, Helpers(), 450)
        measure.probe(trainer, images, Helpers(), 1)

    assert len(asked) > 2
    assert set(asked) == {"imagenet"}
