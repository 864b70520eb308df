from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from orchestrator.errors import DataError, SpecError
from orchestrator.worker.probing import zoo
from orchestrator.worker.probing.zoo import timm_specimen

TINY = "vit_tiny_patch16_224"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without a network and with an empty cache."""
    import huggingface_hub.constants as hub

    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))


def test_random_weights_are_the_same_every_time_and_disturb_no_other_draw() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, other = (timm_specimen(TINY, untrained=True) for _ in range(2))

    assert one.facts["weights"] == other.facts["weights"]
    assert "untrained" in one.facts["weights"]["source"]
    assert torch.equal(before, torch.get_rng_state())


def test_images_are_seen_by_the_models_own_transform() -> None:
    specimen = timm_specimen(TINY, untrained=True)
    grey = Image.fromarray(np.full((300, 400, 3), 51, np.uint8))
    seen = specimen.view(grey)
    config: Any = specimen.facts["architecture"]

    assert tuple(seen.shape) == (3, 224, 224)
    expected = (51 / 255 - torch.tensor(config["mean"])) / torch.tensor(config["std"])
    assert torch.allclose(seen[:, 100, 100], expected, atol=1e-5)
    assert (specimen.shown(seen[None]) == 51).all()


def test_a_file_says_how_many_classes_and_registers_there_are(tmp_path: Path) -> None:
    trained = timm.create_model(TINY, num_classes=7, reg_tokens=3)
    torch.save({"model": trained.state_dict()}, tmp_path / "x.pth")

    model = timm_specimen(TINY, weights=tmp_path / "x.pth").model

    assert (model.num_reg_tokens, len(model.head.weight)) == (3, 7)
    assert torch.equal(model.blocks[0].attn.qkv.weight, trained.blocks[0].attn.qkv.weight)


def test_layer_scales_under_the_names_of_deits_authors_are_taken(tmp_path: Path) -> None:
    trained = timm.create_model("deit3_small_patch16_224", depth=1)
    state = {
        name.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): value
        for name, value in trained.state_dict().items()
    }
    small = {name: value for name, value in state.items() if "blocks" not in name or ".0." in name}
    torch.save({"model": small}, tmp_path / "x.pth")

    with pytest.raises(DataError) as told:  # eleven blocks are missing, and nothing else
        timm_specimen("deit3_small_patch16_224", weights=tmp_path / "x.pth")
    assert "blocks.1." in str(told.value)
    assert "Unexpected" not in str(told.value)


@pytest.mark.usefixtures("offline")
def test_without_a_network_one_sentence_says_what_to_do() -> None:
    with pytest.raises(SpecError) as told:
        timm_specimen(TINY)

    for way in ("network", "--weights", "--untrained", TINY):
        assert way in str(told.value)


def test_an_unknown_name_is_told_with_names_that_look_alike() -> None:
    with pytest.raises(SpecError, match=r"no model 'vit_tiny_patch99'.*vit_tiny_patch16_224"):
        timm_specimen("vit_tiny_patch99", untrained=True)


def test_what_is_no_vision_transformer_is_refused_by_its_kind() -> None:
    with pytest.raises(SpecError, match="is a ResNet"):
        timm_specimen("resnet10t", untrained=True)


def test_a_model_without_weights_on_the_hub_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    model = timm.create_model(TINY)
    model.pretrained_cfg = {}
    monkeypatch.setattr(zoo, "_created", lambda name: model)

    with pytest.raises(SpecError, match="no weights for"):
        timm_specimen(TINY)
