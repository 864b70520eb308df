"""How large the values of the blocks' outputs get, over all tokens, image by image.

``activations/max_inf`` and ``activations/kurtosis`` follow Bondarenko et al. (arXiv 2306.12929).
A *massive* activation (Sun et al., arXiv 2402.17762) has an absolute value above 100 and of at
least 1000 times the median absolute value of its hidden state, which is one image's output of one
block. Channels with one are told by number: they tend to be the same few in every image.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from model.probes.base import Array, Findings, Subject

MASSIVE, MASSIVE_OVER_MEDIAN = 100.0, 1000.0
TOP = 3


def measure_block(x: Tensor, _: Subject) -> dict[str, Tensor]:
    """Per image: the extremes of one block's output; per image and channel: whether massive."""
    x = x.float()
    values, sizes = x.flatten(1), x.abs()
    # standardised first: the fourth power of a massive activation may not fit in float32
    std, mean = torch.std_mean(values, dim=1, correction=0, keepdim=True)
    top = sizes.flatten(1).topk(TOP, dim=1).values
    median = sizes.flatten(1).median(dim=1).values
    threshold = (MASSIVE_OVER_MEDIAN * median)[:, None]
    largest = sizes.amax(dim=1)  # (B, dim)
    return {
        "activations/max_inf": top[:, 0],
        "activations/kurtosis": ((values - mean) / std).pow(4).mean(dim=1),
        "activations/top": top,
        "activations/median": median,
        "activations/massive": (largest > MASSIVE) & (largest >= threshold),
    }


measures = {"blocks": measure_block}


def summarise(measured: Mapping[str, Array], _: Subject) -> Findings:
    """Scalars, and means over images ``activations/by_block/*`` with depth as axis 0.

    ``max_inf`` is the maximum over blocks, mean over images; ``massive_channels`` the number of
    channels that are massive in at least half of the images, in the block with most of them. The
    array ``massive`` (depth, dim) is the share of images in which a channel is.
    """
    names = ("max_inf", "kurtosis", "top", "median", "massive")
    means = {n: measured[f"activations/{n}"].mean(axis=0, dtype=np.float64) for n in names}
    return Findings(
        scalars={
            "activations/max_inf": float(
                measured["activations/max_inf"].max(axis=1).mean(dtype=np.float64)
            ),
            "activations/kurtosis": float(means["kurtosis"].mean()),
            "activations/massive_channels": float((means["massive"] >= 0.5).sum(axis=1).max()),
        },
        arrays={f"activations/by_block/{name}": mean for name, mean in means.items()},
    )
