from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from orchestrator.errors import DataError, SpecError, WeightsError
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
    with pytest.raises(WeightsError) as told:
        timm_specimen(TINY)

    for way in ("HF_HUB_OFFLINE is set", "where there is a network", "$HF_HOME", TINY):
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


@pytest.mark.parametrize(
    ("other", "there", "needed"),
    [
        ({"img_size": 384}, "pos_embed has 577 rows", "197 needed"),
        (
            {"patch_size": 32, "img_size": 448},  # as many patches of another size
            "patch_embed.proj.weight has 32 pixels along a side",
            "16 needed",
        ),
    ],
)
def test_a_file_of_another_size_is_refused_with_both_numbers_and_nothing_is_resized(
    tmp_path: Path, other: dict[str, int], there: str, needed: str
) -> None:
    trained = timm.create_model(TINY, **other)
    torch.save(trained.state_dict(), tmp_path / "x.pth")

    with pytest.raises(DataError) as told:
        timm_specimen(TINY, weights=tmp_path / "x.pth")

    assert there in str(told.value)
    assert needed in str(told.value)


def test_names_of_dinov2_are_taken_though_its_class_position_is_added_to_the_token(
    tmp_path: Path,
) -> None:
    name = "vit_small_patch14_reg4_dinov2"
    state = timm.create_model(name).state_dict()
    positions = torch.cat([torch.zeros(1, 1, 384), state["pos_embed"]], dim=1)
    theirs = {**state, "register_tokens": state["reg_token"], "pos_embed": positions}
    del theirs["reg_token"]
    torch.save({**theirs, "mask_token": torch.zeros(1, 384)}, tmp_path / "x.pth")

    model = timm_specimen(name, weights=tmp_path / "x.pth").model

    assert torch.equal(model.pos_embed, state["pos_embed"])


def test_a_hybrid_takes_the_channels_of_its_images_and_not_of_its_projection() -> None:
    specimen = timm_specimen("vit_tiny_r_s16_p8_224", untrained=True)

    assert specimen.model.patch_embed.proj.in_channels == 64
    assert specimen.channels == 3
