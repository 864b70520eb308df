"""A model in training: one optimiser step, and exactly the state that resumes."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from model.probes.base import Findings
from model.probes.weights import gradients_by_block, parameters_by_block, updates_by_block, whole
from model.vit import ViT, build_vit
from orchestrator.config import Placement, RunConfig
from orchestrator.worker.data.loader import Portion
from orchestrator.worker.data.order import Piece, most_images
from orchestrator.worker.device import brought
from orchestrator.worker.draws import uniforms
from orchestrator.worker.ema import Average
from orchestrator.worker.mixing import Mixed, Mixing, is_mixed
from orchestrator.worker.objective import Objective
from orchestrator.worker.optim import build_optimizer, set_learning_rate
from orchestrator.worker.parallel import (
    as_held,
    gathered,
    is_sharded,
    load_optimizer,
    prepared,
    quiet,
)
from orchestrator.worker.ranks import Ranks
from orchestrator.worker.stability import Course, Step

TINY = 1e-6
"""What PyTorch's clipping adds to a norm before it divides by it."""


class Told(NamedTuple):
    """What a step told, still on the device: the sum of this rank's losses, the global norm."""

    loss: Tensor  # float64 ()
    grad_norm: Tensor  # float32 ()
    images: int


@dataclass(slots=True)
class Trainer:
    """All that changes while a job is trained; ``state`` is exactly what resumes.

    A step asks the device for nothing: what it told stays there until ``read``.
    """

    config: RunConfig
    model: ViT
    net: nn.Module
    optimizer: torch.optim.Optimizer
    ranks: Ranks
    micro_batch: int | None
    step: int = 0
    """Optimiser steps taken."""
    course: Course = field(default_factory=Course)
    """What the steps told, up to the last ``read``."""
    best: float = float("-inf")
    """The highest ``val/top1`` so far."""
    average: Average | None = None
    unread: list[Told] = field(default_factory=list)

    @classmethod
    def fresh(cls, config: RunConfig, ranks: Ranks, placement: Placement) -> Self:
        """Initial weights."""
        model = build_vit(config.model, config.seed).to(ranks.device)
        model.set_grad_checkpointing(placement.activation_checkpointing)
        objective = Objective(model, config)
        net = prepared(objective, ranks, placement)
        optimizer = build_optimizer(model, config.optim)
        trainer = cls(config, model, net, optimizer, ranks, placement.micro_batch)
        if config.train.ema_decay is not None:
            trainer.average = Average.of(model, config.train.ema_decay)
        if isinstance(net, DistributedDataParallel):
            trainer._rehearse()
        return trainer

    def state(self) -> dict[str, Any]:
        """What resumes, on the device, whole on the first rank; every rank must ask."""
        self.read()
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "course": self.course.to_plain(),
            "best": self.best,
        }
        average = {"average": self.average.weights} if self.average else {}
        whole_state: dict[str, Any] = gathered(state | average, self.ranks)
        return whole_state

    def weights(self) -> dict[str, Tensor]:
        """The model's own, on the device, whole on the first rank; every rank must ask."""
        weights: dict[str, Tensor] = gathered(self.model.state_dict(), self.ranks)
        return weights

    @contextmanager
    def looked_at(self) -> Iterator[None]:
        """The model in evaluation mode, and not compiled, however it is trained."""
        self.model.eval()
        with torch.compiler.set_stance("force_eager"):
            yield

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, whoever left it: one process, or any number of ranks of any kind."""
        self.model.load_state_dict(as_held(state["model"], self.model.state_dict()))
        load_optimizer(self.optimizer, state["optimizer"])
        self.step, self.best = state["step"], state["best"]
        self.course = Course.from_plain(state["course"])
        if self.average:
            self.average.resume(as_held(state["average"], self.average.weights))

    def take(self, portion: Portion, rate: float, *, watched: bool = False) -> Findings | None:
        """One optimiser step on this rank's portion of the batch.

        Returns, of a step that is watched, what gradients and updates of the weights told.
        """
        loss = self.backward(portion)
        if not watched:
            self.descend(portion, loss, rate)
            return None
        gradients, before = gradients_by_block(self.model), parameters_by_block(self.model)
        self.descend(portion, loss, rate)
        return gradients | updates_by_block(before, self.model)

    def read(self) -> None:
        """Bring what steps told since the last call to the host; every rank must call it."""
        if not self.unread:
            return
        losses = self.ranks.sum(torch.stack([told.loss for told in self.unread]))
        norms = torch.stack([told.grad_norm for told in self.unread])
        values = torch.stack([losses, norms.double()]).tolist()
        for loss, norm, told in zip(*values, self.unread, strict=True):
            self.course.take(Step(loss / told.images, norm, told.images))
        self.unread.clear()

    def backward(self, portion: Portion) -> Tensor:
        """Accumulate the gradient of the mean loss over the whole step's images.

        Returns the sum of this rank's losses, float64. Averaging over ranks is undone by the
        factor ``world``; a stand-in image weighs nothing.
        """
        self.net.train()
        device = self.ranks.device
        images = portion.images.to(device, non_blocking=True)
        labels = portion.labels.to(device, non_blocking=True)
        keep = brought(drop_path_scales(self.config, portion), device)
        mixing = Mixing.of(self.config, portion, device) if is_mixed(self.config.train) else None
        total = torch.zeros((), dtype=torch.float64, device=device)
        passes = self._passes(portion)
        for left, (part, weight) in zip(reversed(range(len(passes))), passes, strict=True):
            mixed: Mixed | None = mixing.of_part(images, labels, part) if mixing else None
            with quiet(self.net) if left else nullcontext():
                loss = self.net(images[part], labels[part], keep[:, :, part], mixed)
                torch.autograd.backward(loss * weight)
            if weight:
                total += loss.detach().double()
        return total

    def descend(self, portion: Portion, loss: Tensor, rate: float) -> None:
        """The step itself, by the gradients and the loss of ``backward``.

        A gradient that is not finite counts as zero and is taken at a rate of zero, so that it
        changes no weight; which only the device knows.
        """
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norm = whole(nn.utils.get_total_norm(gradients))
        finite = torch.isfinite(norm)
        limit = self.config.optim.clip_norm
        scale = (limit / (norm + TINY)).clamp(max=1.0) if limit else torch.ones_like(norm)
        for gradient in gradients:
            gradient.nan_to_num_(0.0, 0.0, 0.0)
        torch._foreach_mul_(gradients, torch.where(finite, scale, 0.0))
        set_learning_rate(self.optimizer, finite * rate)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average:
            self.average.follow(self.model)
        self.step += 1
        self.unread.append(Told(loss, norm, portion.total))

    def _rehearse(self) -> None:
        """A weightless backward pass, after which DDP lays out its buckets for good.

        It does so once, after its first, in the order in which gradients arrived; from three ranks
        on, another layout is another order of sums, and a resumed run would differ by it.
        """
        model = self.config.model
        blank = torch.zeros((1, model.in_chans, model.img_size, model.img_size), dtype=torch.uint8)
        label = torch.zeros(1, dtype=torch.int64)
        self.backward(Portion(0, 0, blank, label, (Piece(0, 1),), total=1, stand_in=True))
        self.optimizer.zero_grad(set_to_none=True)

    def _passes(self, portion: Portion) -> list[tuple[slice, float]]:
        """Which images each pass takes, and what its loss is multiplied by.

        Passes of a sharded model are collective: ranks with fewer images add some without weight.
        """
        world, total, micro = self.ranks.world, portion.total, self.micro_batch
        mine = 0 if portion.stand_in else len(portion.labels)
        size = micro or max(mine, 1)
        passes = [(slice(at, at + size), world / total) for at in range(0, mine, size)]
        needed = 1
        if micro and is_sharded(self.model):
            needed = math.ceil(most_images(total, self.config.train.chunks, world) / micro)
        return [(slice(0, 1), 0.0)] * (needed - len(passes)) + passes


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
