"""Where each register looks: its attention to each patch in the last block, mean over heads.

Apart from the suite, since maps are wanted of a few images only, and there are many registers.
"""

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from model.attention.base import Inside
from model.probes.base import Findings, Subject
from model.record import watch


def register_maps(model: VisionTransformer, images: Tensor) -> Findings:
    """``attention/register_maps`` (images, registers, h, w); nothing where there are no registers.

    What a register pays to itself, to the others and to the class token is left out.
    """
    subject = Subject.of(model, images)
    if not subject.registers:
        return Findings()
    newest: list[Inside] = []

    def keep(inside: Inside) -> None:
        newest[:] = [inside]

    with torch.no_grad(), watch(model, {"inside": keep}):
        model(images)
    registers = slice(subject.cls, subject.prefix)
    weights = newest[0].weights[:, :, registers, subject.prefix :].float()  # (B, heads, K, P)
    maps = weights.mean(dim=1).reshape(len(images), subject.registers, *subject.grid)
    return Findings(arrays={"attention/register_maps": maps.cpu().numpy()})
