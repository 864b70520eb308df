from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model.config import ViTConfig
from model.flops import count_params
from model.vit import build_vit
from orchestrator.errors import SpecError
from orchestrator.worker.probing.images import choose_images
from orchestrator.worker.probing.run import run
from orchestrator.worker.probing.specimen import Specimen, our_specimen
from orchestrator.worker.probing.zoo import timm_specimen

TINY = ViTConfig(
    img_size=8, patch_size=2, in_chans=1, num_classes=10, dim=16, depth=2, heads=2,
    registers=3, layer_scale=None,
)  # fmt: skip


@pytest.fixture
def specimen(tmp_path: Path) -> Specimen:
    torch.save(build_vit(TINY, 3).state_dict(), tmp_path / "weights.pt")
    return our_specimen(TINY, tmp_path / "weights.pt")


def test_the_size_of_a_batch_changes_nothing_but_rounding(specimen: Specimen, digits: Path) -> None:
    images = choose_images(digits / "digits", 23)
    one, other = (run(specimen, images, batch=batch).findings for batch in (23, 7))

    assert one.scalars.keys() == other.scalars.keys()
    for name, value in one.scalars.items():
        assert other.scalars[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name


def test_a_job_s_model_sees_pixels_on_the_scale_it_was_trained_on(tmp_path: Path) -> None:
    config = replace(TINY, in_chans=3)
    torch.save(build_vit(config).state_dict(), tmp_path / "weights.pt")
    specimen = our_specimen(config, tmp_path / "weights.pt", "imagenet")
    image = Image.new("RGB", (8, 8), (124, 116, 104))

    view = specimen.view(image)

    assert view.abs().max() < 0.01  # ImageNet's mean colour, to half a level
    assert specimen.shown(view[None])[0, :, 0, 0].tolist() == [124, 116, 104]


def test_maps_are_of_the_images_that_are_shown(specimen: Specimen, digits: Path) -> None:
    chosen = choose_images(digits / "digits", 9)
    found = run(specimen, chosen, batch=4, device="cpu")
    first = np.asarray(chosen.read(0, 1))

    assert np.array_equal(found.images[0, 0], first)
    assert found.findings.arrays["attention/register_maps"].shape == (4, 3, 4, 4)
    assert len(found.images) == 4
    assert found.facts["images"]["count"] == 9


def test_a_register_map_is_the_registers_own_row_of_attention(
    specimen: Specimen, digits: Path
) -> None:
    chosen = choose_images(digits / "digits", 2)
    found = run(specimen, chosen, batch=2, device="cpu")
    images = torch.stack([specimen.view(chosen.read(n, 1)) for n in range(2)])
    kept: list[torch.Tensor] = []
    attention = specimen.model.blocks[-1].attn
    hook = attention.register_forward_hook(
        lambda module, args, _: kept.append(module.inside(args[0]).weights)
    )
    with torch.no_grad():
        specimen.model(images)
    hook.remove()

    maps = kept[0][:, :, 1:4, 4:].mean(dim=1).reshape(2, 3, 4, 4).numpy()
    assert np.allclose(found.findings.arrays["attention/register_maps"], maps, atol=1e-6)


def test_a_vision_transformer_of_timms_is_probed_as_it_is(digits: Path) -> None:
    specimen = timm_specimen("vit_tiny_patch16_224", untrained=True)
    found = run(specimen, choose_images(digits / "digits", 3), batch=2, device="cpu")

    assert found.findings.arrays["norms/maps"].shape[1:] == (14, 14)
    assert found.images.shape[1:] == (3, 224, 224)
    assert "attention/register_maps" not in found.findings.arrays


def test_parameters_that_are_never_trained_are_counted_apart_as_flops_does(
    tmp_path: Path,
) -> None:
    config = replace(TINY, attention="static_random")
    torch.save(build_vit(config).state_dict(), tmp_path / "weights.pt")

    facts = our_specimen(config, tmp_path / "weights.pt").facts

    assert facts["parameters"] == count_params(config)
    assert facts["frozen_parameters"] == config.depth * config.heads * config.tokens**2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused(specimen: Specimen, digits: Path) -> None:
    with pytest.raises(SpecError, match="--device cpu"):
        run(specimen, choose_images(digits / "digits", 1), batch=1, device="cuda")
