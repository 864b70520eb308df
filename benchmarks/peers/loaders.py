"""Loaders of images: ours and its peers, each as a function that gives an epoch's batches."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from orchestrator.config import Placement
from orchestrator.config.data import DataConfig
from orchestrator.config.train import TrainConfig
from orchestrator.jobs.datasets import load_manifest
from orchestrator.worker.data.decoded import open_training_images
from orchestrator.worker.data.loader import Feed, training_portions
from orchestrator.worker.data.samples import About, Sample
from orchestrator.worker.data.shards import write_dataset
from orchestrator.worker.stop import StopFlag

SIZE, BOUND = 224, 256
Epoch = Callable[[], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class Work:
    """The images, as class folders and as our shards, and how many a batch has."""

    folder: Path
    images: int
    batch: int

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    @property
    def shards(self) -> list[str]:
        return sorted(map(str, (self.folder / "data" / "photos").glob("train-*.tar")))

    def prepare(self, make: Callable[[int], bytes]) -> int:
        """Write them; the mean size of a file."""
        (self.tree / "only").mkdir(parents=True)
        samples, total = [], 0
        for n in range(self.images):
            blob = make(n)
            total += len(blob)
            (self.tree / "only" / f"{n:05d}.jpg").write_bytes(blob)
            samples.append(Sample(f"{n:05d}", "train", 0, blob, "jpg"))
        samples.append(Sample("val", "val", 0, samples[0].image_bytes, "jpg"))
        about = About(name="photos", source="made", split_rule="none", classes=("only",))
        write_dataset(self.folder / "data", about, samples)
        return total // self.images


@dataclass(frozen=True, slots=True)
class Peer:
    """A competitor: how it resizes, and what makes its epochs.

    ``make`` raises ImportError where its package is not there.
    """

    name: str
    filter: str
    make: Callable[[Work], Epoch]


def _ours(px: int | None) -> Callable[[Work], Epoch]:
    def make(work: Work) -> Epoch:
        data = DataConfig(name="photos", crop="random_resized", flip=True, decoded_px=px)
        manifest = load_manifest(work.folder / "data", "photos")
        place = Placement(cache_dir=str(work.folder / "copies"))
        images = open_training_images(work.folder / "data", manifest, px, place, StopFlag())
        train = TrainConfig(batch_size=work.batch)
        feed = Feed(data=data, train=train, data_seed=0, img_size=SIZE)
        steps, epochs = work.images // work.batch, count()

        def epoch() -> Iterator[Tensor]:
            first = next(epochs) * steps
            portions = training_portions(images, feed, range(first, first + steps))
            return (portion.images for portion in portions)

        return epoch

    return make


def _views(interpolation: str) -> Any:
    from torchvision import transforms  # noqa: PLC0415 - each peer imports its own

    mode = transforms.InterpolationMode(interpolation)
    crop = transforms.RandomResizedCrop(SIZE, interpolation=mode)
    mirror = transforms.RandomHorizontalFlip()
    return transforms.Compose([crop, mirror, transforms.PILToTensor()])


def _torchvision(interpolation: str) -> Callable[[Work], Epoch]:
    def make(work: Work) -> Epoch:
        from torchvision.datasets import ImageFolder  # noqa: PLC0415

        images = ImageFolder(str(work.tree), transform=_views(interpolation))
        loader = DataLoader(images, batch_size=work.batch, shuffle=True)
        return lambda: (batch for batch, _ in loader)

    return make


def _torchvision_tensors(work: Work) -> Epoch:
    """What a user of torchvision's v2 transforms can do: decoded, reduced tensors in memory."""
    from torchvision.datasets import ImageFolder  # noqa: PLC0415
    from torchvision.transforms import v2  # noqa: PLC0415

    reduce = v2.Compose([v2.PILToTensor(), v2.Resize(BOUND, antialias=True)])
    kept = [image for image, _ in ImageFolder(str(work.tree), transform=reduce)]
    view = v2.Compose([v2.RandomResizedCrop(SIZE, antialias=True), v2.RandomHorizontalFlip()])

    class Kept(torch.utils.data.Dataset[Tensor]):
        def __len__(self) -> int:
            return len(kept)

        def __getitem__(self, n: int) -> Tensor:
            shown: Tensor = view(kept[n])
            return shown

    loader = DataLoader(Kept(), batch_size=work.batch, shuffle=True)
    return lambda: loader


def _timm(work: Work) -> Epoch:
    from timm.data.dataset_factory import create_dataset  # noqa: PLC0415
    from timm.data.loader import create_loader  # noqa: PLC0415

    images = create_dataset("", root=str(work.tree), is_training=True)
    loader = create_loader(
        images,
        input_size=(3, SIZE, SIZE),
        batch_size=work.batch,
        is_training=True,
        color_jitter=0.0,
        interpolation="bicubic",
        num_workers=0,
        persistent_workers=False,
        device=torch.device("cpu"),
    ).loader  # what its prefetcher would normalise: uint8
    return lambda: (batch for batch, _ in loader)


def _webdataset(work: Work) -> Epoch:
    import webdataset  # noqa: PLC0415

    images = (
        webdataset.WebDataset(work.shards, shardshuffle=100)
        .shuffle(1000)
        .decode("pil")
        .to_tuple("jpg", "cls")
        .map_tuple(_views("bilinear"), int)
        .batched(work.batch)
    )
    return lambda: (batch for batch, _ in images)


def _ffcv(work: Work) -> Epoch:
    from ffcv import transforms  # noqa: PLC0415
    from ffcv.fields import IntField, RGBImageField  # noqa: PLC0415
    from ffcv.fields.decoders import IntDecoder, RandomResizedCropRGBImageDecoder  # noqa: PLC0415
    from ffcv.loader import Loader, OrderOption  # noqa: PLC0415
    from ffcv.writer import DatasetWriter  # noqa: PLC0415
    from torchvision.datasets import ImageFolder  # noqa: PLC0415

    beton = work.folder / "photos.beton"
    fields = {"image": RGBImageField(write_mode="jpg", jpeg_quality=90), "label": IntField()}
    DatasetWriter(str(beton), fields, num_workers=1).from_indexed_dataset(
        ImageFolder(str(work.tree))
    )
    image = [
        RandomResizedCropRGBImageDecoder((SIZE, SIZE)),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.ToTorchImage(),
    ]
    loader = Loader(
        str(beton),
        batch_size=work.batch,
        num_workers=1,
        order=OrderOption.RANDOM,
        os_cache=True,
        pipelines={"image": image, "label": [IntDecoder(), transforms.ToTensor()]},
    )
    return lambda: (batch for batch, _ in loader)


def _dali(work: Work) -> Epoch:
    from nvidia.dali import fn, pipeline_def, types  # noqa: PLC0415

    # Neither asynchronous nor pipelined: it would work on while another's turn is timed.
    @pipeline_def(  # type: ignore[untyped-decorator, unused-ignore]
        batch_size=work.batch,
        num_threads=1,
        device_id=None,
        exec_async=False,
        exec_pipelined=False,
    )
    def views() -> Any:
        files, _ = fn.readers.file(file_root=str(work.tree), random_shuffle=True)
        crops = fn.decoders.image_random_crop(files, random_area=(0.08, 1.0))
        sized = fn.resize(crops, size=(SIZE, SIZE), interp_type=types.INTERP_LINEAR, antialias=True)
        return fn.flip(sized, horizontal=fn.random.coin_flip())

    pipe = views()
    pipe.build()
    return lambda: (pipe.run()[0].as_tensor() for _ in range(work.images // work.batch))


PEERS = (
    Peer("ours, streaming", "bicubic, antialiased", _ours(None)),
    Peer(f"ours, decoded at {BOUND} px", "bicubic, antialiased", _ours(BOUND)),
    Peer("torchvision ImageFolder", "bilinear, antialiased", _torchvision("bilinear")),
    Peer("torchvision ImageFolder, bicubic", "bicubic, antialiased", _torchvision("bicubic")),
    Peer(f"torchvision v2, {BOUND} px tensors", "bilinear, antialiased", _torchvision_tensors),
    Peer("timm", "bicubic, antialiased", _timm),
    Peer("webdataset", "bilinear, antialiased", _webdataset),
    Peer("FFCV", "area", _ffcv),
    Peer("DALI", "bilinear, antialiased", _dali),
)
