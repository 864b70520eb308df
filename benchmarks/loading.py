"""How many images a second one core brings to training: ours, streaming and decoded, and its peers.

    python benchmarks/loading.py [--images 400] [--batch 100] [--rounds 9] [--json FILE]

The same work for all: JPEGs of 500x375 pixels and about 90 kB, made anew each time, in random order
as batches of uint8, each image a random resized crop (8-100 % of the area) of 224 pixels, mirrored
or not. They differ in the filter that resizes, which the table names. One process on one core; an
epoch each in turn, ``--rounds`` times, after one that counts for nothing. Prints images a second,
the median with quartiles, and the ratio to torchvision's ImageFolder in the same round.

Peers that are not installed are told and left out. For all of them, in an environment of their own
(FFCV is built, which takes Debian's libopencv-dev, libturbojpeg0-dev and pkg-config):

    python -m venv peers && peers/bin/pip install -e '.[train]' torchvision 'numpy<2.3' \
        nvidia-dali-cuda130 opencv-python-headless ffcv==1.0.2
    peers/bin/python benchmarks/loading.py
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from peers.loaders import PEERS, SIZE, Epoch, Peer, Work
from peers.photos import photo

REFERENCE = "torchvision ImageFolder"
PACKAGES = (
    *("torch", "torchvision", "timm", "webdataset", "ffcv", "nvidia-dali-cuda130"),
    *("pillow", "numpy", "numba", "simplejpeg"),
)
Rates = Mapping[str, list[float]]
"""By peer: images per second in each round."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was measured of a peer: quartiles over the rounds."""

    name: str
    filter: str
    images_per_s: tuple[float, float, float]
    to_torchvision: tuple[float, float, float]


def main() -> None:
    asked = _arguments()
    torch.set_num_threads(1)
    core = min(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        work = Work(Path(name), asked.images, asked.batch)
        mean_bytes = work.prepare(photo)
        epochs = dict(_made(work))
        os.sched_setaffinity(0, {core})
        rates = _rounds(epochs, work, asked.rounds)
    told = [_told(rates, peer) for peer in PEERS if peer.name in rates]
    print("\n".join(_table(told)))
    conditions = {
        "cpu": _cpu(),
        "mean_bytes": mean_bytes,
        "versions": _versions(),
        **{key: getattr(asked, key) for key in ("images", "batch", "rounds")},
    }
    print(json.dumps(conditions))
    if asked.json:
        peers = [asdict(one) for one in told]
        asked.json.write_text(json.dumps({"conditions": conditions, "peers": peers}, indent=1))


def _made(work: Work) -> Iterator[tuple[str, Epoch]]:
    for peer in PEERS:
        try:
            yield peer.name, peer.make(work)
        except ImportError as error:
            print(f"missing: {peer.name} ({error})")


def _rounds(epochs: Mapping[str, Epoch], work: Work, rounds: int) -> Rates:
    rates: dict[str, list[float]] = {name: [] for name in epochs}
    for turn in range(-1, rounds):
        for name, epoch in epochs.items():
            began = time.perf_counter()
            seen = sum(_checked(batch) for batch in epoch())
            seconds = time.perf_counter() - began
            if seen != work.images:
                raise SystemExit(f"{name} gave {seen} of {work.images} images")
            if turn >= 0:
                rates[name].append(seen / seconds)
    return rates


def _checked(batch: object) -> int:
    """How many images it has; they are bytes, of the size that was asked for."""
    array = np.asarray(batch)
    if array.dtype != np.uint8 or sorted(array.shape[1:]) != [3, SIZE, SIZE]:
        raise SystemExit(f"a batch is {array.dtype} {array.shape}")
    return len(array)


def _told(rates: Rates, peer: Peer) -> Told:
    own = rates[peer.name]
    ratios = [one / other for one, other in zip(own, rates[REFERENCE], strict=True)]
    return Told(peer.name, peer.filter, _quartiles(own), _quartiles(ratios))


def _quartiles(values: list[float]) -> tuple[float, float, float]:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return low, middle, high


def _table(told: Sequence[Told]) -> Iterator[str]:
    yield "| loader | filter | images/s | quartiles | to torchvision | quartiles |"
    yield "|---|---|---|---|---|---|"
    for one in told:
        low, middle, high = one.images_per_s
        rate = f"{middle:,.0f} | {low:,.0f}-{high:,.0f}"
        low, middle, high = one.to_torchvision
        ratio = f"{middle:.2f} | {low:.2f}-{high:.2f}"
        yield f"| {one.name} | {one.filter} | {rate} | {ratio} |"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "?")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", type=Path, help="for what is made; removed in the end")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured")
    return parser.parse_args()


if __name__ == "__main__":
    main()
