"""One of two ranks that put every arm into DDP and FSDP2: ``python -m support.two_ranks RANK STORE``.

Each rank takes half of the images; their gradients must be those of one process with all of them.
"""

import sys
from collections.abc import Iterator

import torch
import torch.distributed as dist
from support.arms import ARMS
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from model.vit import ViT, build_vit

Gradients = dict[str, Tensor]


def gradients_of(net: nn.Module, model: ViT, images: Tensor) -> Gradients:
    net(images).square().mean().backward()
    return {name: _whole(p.grad) for name, p in model.named_parameters() if p.grad is not None}


def _whole(gradient: Tensor) -> Tensor:
    return gradient.full_tensor() if isinstance(gradient, DTensor) else gradient.clone()


def sharded(model: ViT) -> ViT:
    for block in model.blocks:
        fully_shard(block)
    return fully_shard(model)


def both(model: ViT, again: ViT, half: Tensor) -> Iterator[tuple[str, Gradients]]:
    yield "DDP", gradients_of(DistributedDataParallel(model), model, half)
    yield "FSDP2", gradients_of(sharded(again), again, half)


def main(rank: int, store: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", store=dist.FileStore(store, 2), rank=rank, world_size=2)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    for name, config in ARMS.items():
        alone, *others = (build_vit(config) for _ in range(3))
        expected = gradients_of(alone, alone, images)
        for wrapper, found in both(*others, images.chunk(2)[rank]):
            assert found.keys() == expected.keys(), (name, wrapper)
            for key, gradient in found.items():
                torch.testing.assert_close(
                    gradient, expected[key], rtol=1e-4, atol=1e-6,
                    msg=lambda told, at=(name, wrapper, key): f"{at}: {told}",
                )  # fmt: skip
        print(name)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
