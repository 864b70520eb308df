import pytest
import torch

from orchestrator.worker.pixels import normalised


def test_half_brings_pixels_to_the_interval_from_minus_one_to_one() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)

    assert torch.equal(normalised(pixels, "half"), (pixels.float() / 255 - 0.5) / 0.5)


def test_imagenet_takes_its_means_to_zero_colour_by_colour() -> None:
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = (mean * 255).round().to(torch.uint8)[None, :, None, None].expand(2, 3, 4, 4)

    found = normalised(pixels, "imagenet")

    assert found.abs().max() < 0.5 / 255 / 0.22
    white = normalised(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8), "imagenet").flatten()
    assert white.tolist() == pytest.approx(((1 - mean) / std).tolist())
