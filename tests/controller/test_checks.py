"""A sweep is held against its data before anything is created."""

from pathlib import Path

import pytest

from orchestrator.controller.checks import check_data
from orchestrator.errors import SpecError
from orchestrator.executors import EXECUTORS
from orchestrator.sweep.expand import Sweep
from orchestrator.sweep.load import load_sweep

TRAINED = "name: s\nset: {data.name: elsewhere, model: {in_chans: 3, dim: 8, depth: 1, heads: 2}}\n"
ANALYSED = "name: a\ntask: analyze\nof: {what}\nset: {{data.name: digits}}\n"


def analysis(folder: Path, what: str) -> Sweep:
    (folder / "s.yaml").write_text(TRAINED)
    (folder / "a.yaml").write_text(ANALYSED.format(what=what))
    return load_sweep(folder / "a.yaml", executors=EXECUTORS)


def test_an_analysis_of_images_that_the_model_cannot_take_is_refused(
    digits: Path, tmp_path: Path
) -> None:
    words = r"cannot be analysed: .*'digits' has images of 1 channel\(s\), and its model takes 3"

    with pytest.raises(SpecError, match=words):
        check_data(analysis(tmp_path, "{sweeps: [s.yaml]}"), digits)


def test_an_analysis_needs_its_own_images_alone_and_models_of_timm_take_grey_ones(
    digits: Path, tmp_path: Path
) -> None:
    manifests, missing = check_data(analysis(tmp_path, "{timm: [x]}"), digits)

    assert (manifests.keys(), missing) == ({"digits"}, [])
