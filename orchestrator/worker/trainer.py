"""A model in training: one optimiser step, and exactly the state that resumes."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import astuple, dataclass, field
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from model.vit import ViT, build_vit
from orchestrator.config import RunConfig
from orchestrator.worker.data.loader import Portion
from orchestrator.worker.draws import uniforms
from orchestrator.worker.ema import Average
from orchestrator.worker.losses import summed_loss
from orchestrator.worker.mixing import Mixing, is_mixed
from orchestrator.worker.optim import build_optimizer
from orchestrator.worker.pixels import normalised
from orchestrator.worker.ranks import Ranks


@dataclass(slots=True)
class Window:
    """Sums over the steps since the last training point, the same on every rank."""

    loss: float = 0.0
    images: int = 0
    grad_norm: float = 0.0
    steps: int = 0


@dataclass(slots=True)
class Trainer:
    """All that changes while a job is trained; ``state`` is exactly what resumes."""

    config: RunConfig
    model: ViT
    net: nn.Module
    optimizer: torch.optim.Optimizer
    ranks: Ranks
    micro_batch: int | None
    step: int = 0
    """Optimiser steps taken."""
    nonfinite: int = 0
    """Steps in a row, up to now, whose gradient was not finite; they change no weight."""
    window: Window = field(default_factory=Window)
    average: Average | None = None

    @classmethod
    def fresh(cls, config: RunConfig, ranks: Ranks, micro_batch: int | None) -> Self:
        """Initial weights; ``micro_batch`` images at most go through the model at once."""
        model = build_vit(config.model, config.seed).to(ranks.device)
        optimizer = build_optimizer(model, config.optim)
        trainer = cls(config, model, ranks.parallel(model), optimizer, ranks, micro_batch)
        if config.train.ema_decay is not None:
            trainer.average = Average.of(model, config.train.ema_decay)
        if ranks.world > 1:
            trainer._rehearse()
        return trainer

    def state(self) -> dict[str, Any]:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "nonfinite": self.nonfinite,
            "window": astuple(self.window),
        }
        return state | ({"average": self.average.weights} if self.average else {})

    def resume(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.nonfinite = state["step"], state["nonfinite"]
        self.window = Window(*state["window"])
        if self.average:
            self.average.resume(state["average"])

    def take(self, portion: Portion) -> None:
        """One optimiser step on this rank's portion of the batch."""
        self.descend(portion, self.backward(portion))

    def descend(self, portion: Portion, loss: Tensor) -> None:
        """The step itself, by the gradients and the loss of ``backward``."""
        limit = self.config.optim.clip_norm or float("inf")
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), limit).item()
        if norm < float("inf"):
            self.optimizer.step()
            if self.average:
                self.average.follow(self.model)
            self.nonfinite = 0
        else:
            self.nonfinite += 1
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.window.loss += self.ranks.sum(loss).item()
        self.window.images += portion.total
        self.window.grad_norm += norm
        self.window.steps += 1

    def _rehearse(self) -> None:
        """A weightless backward pass, after which DDP lays out its buckets for good.

        It does so once, after its first, in the order in which gradients arrived; from three ranks
        on, another layout is another order of sums, and a resumed run would differ by it.
        """
        size = self.config.model.img_size
        blank = torch.zeros(1, self.config.model.in_chans, size, size, device=self.ranks.device)
        torch.autograd.backward(0 * self.net(blank).sum())
        self.optimizer.zero_grad(set_to_none=True)

    def backward(self, portion: Portion) -> Tensor:
        """Accumulate the gradient of the mean loss over the whole step's images.

        Returns the sum of this rank's losses, float64. Averaging over ranks is undone by the
        factor ``world``; a stand-in image weighs nothing.
        """
        self.net.train()
        device, count = self.ranks.device, len(portion.labels)
        scale = 0.0 if portion.stand_in else self.ranks.world / portion.total
        keep = drop_path_scales(self.config, portion).to(device)
        seen = self._seen(portion)
        total = torch.zeros((), dtype=torch.float64, device=device)
        size = self.micro_batch or count
        for start in range(0, count, size):
            part = slice(start, start + size)
            last = start + size >= count
            with self._quiet() if not last else nullcontext(), self._precision():
                images, targets = seen(part)
                logits = self.net(images, keep[:, :, part])
                loss = summed_loss(logits.float(), targets, self.config.train)
                torch.autograd.backward(loss * scale)
            if not portion.stand_in:
                total += loss.detach().double()
        return total

    def _seen(self, portion: Portion) -> Callable[[slice], tuple[Tensor, Tensor]]:
        """What gives the model's input, and its targets, of a part of the portion's images."""
        config, device = self.config, self.ranks.device
        images = portion.images.to(device, non_blocking=True)
        labels = portion.labels.to(device, non_blocking=True)

        def pixels(which: slice | Tensor) -> Tensor:
            return normalised(images[which], config.data.normalisation)

        if not is_mixed(config.train):
            return lambda part: (pixels(part), labels[part])
        mixing, classes = Mixing.of(config, portion, device), config.model.num_classes
        return lambda part: (
            mixing.images(pixels(part), pixels(mixing.partner[part]), part),
            mixing.targets(labels, part, classes),
        )

    def _quiet(self) -> AbstractContextManager[None]:
        """No averaging over ranks: for all micro-batches but the last."""
        if isinstance(self.net, DistributedDataParallel):
            quiet: AbstractContextManager[None] = self.net.no_sync()
            return quiet
        return nullcontext()

    def _precision(self) -> torch.autocast:
        bf16 = self.config.train.precision == "bf16"
        return torch.autocast(self.ranks.device.type, torch.bfloat16, enabled=bf16)


def drop_path_scales(config: RunConfig, portion: Portion) -> Tensor:
    """What each residual branch is multiplied by, ``(depth, 2, images)``: 0, or 1 / (1 - p).

    Drawn per chunk of a step, so that it does not depend on who computes the chunk (stochastic
    depth: Huang et al., arXiv 1603.09382).
    """
    model, rate = config.model, config.model.drop_path
    draws = [
        torch.from_numpy(
            uniforms(
                (model.depth, 2, piece.images),
                *("drop_path", config.data_seed, portion.step, piece.chunk),
            )
        )
        for piece in portion.pieces
    ]
    return (torch.cat(draws, dim=2) >= rate).float() / (1 - rate)
