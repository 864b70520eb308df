"""From images as they are stored to the loss that training minimises: one graph, no host in it."""

import torch
from torch import Tensor, nn

from model.vit import ViT
from orchestrator.config import RunConfig
from orchestrator.worker.losses import summed_loss
from orchestrator.worker.mixing import Mixed
from orchestrator.worker.pixels import constants, scaled


class Objective(nn.Module):
    """The model with what stands before it (scaling, mixing) and after it (the loss).

    All randomness comes in from outside, so that it can be compiled as a whole. It stays on the
    device on which the model is.
    """

    def __init__(self, model: ViT, config: RunConfig) -> None:
        super().__init__()
        self.model = model
        self._train, self._classes = config.train, config.model.num_classes
        # No buffers: there is nothing for ranks to tell each other about them.
        self.mean, self.std = constants(config.data.normalisation, model.head.weight.device)

    def forward(
        self, images: Tensor, labels: Tensor, keep: Tensor, mixed: Mixed | None = None
    ) -> Tensor:
        """The sum of the losses of uint8 images ``(n, C, H, W)`` with classes ``(n,)``.

        ``keep``: the drop-path scales, ``(depth, 2, n)``. ``mixed``: what each image is mixed with.
        """
        pixels, targets = scaled(images, self.mean, self.std), labels
        if mixed is not None:
            pixels = mixed.images(pixels, scaled(mixed.partners, self.mean, self.std))
            targets = mixed.targets(labels, self._classes)
        bf16 = self._train.precision == "bf16"
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            logits = self.model(pixels, keep)
        return summed_loss(logits.float(), targets, self._train)
