import io
import os
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from support.web import served

from orchestrator.config import Placement
from orchestrator.config.data import DataConfig
from orchestrator.config.train import TrainConfig
from orchestrator.errors import DataError, SpecError
from orchestrator.jobs.datasets import Manifest, Members, check_shards, load_manifest
from orchestrator.worker.data.adopt import Adoption, adopt, find_tars
from orchestrator.worker.data.augment import DRAWS, training_view
from orchestrator.worker.data.decode import pixels
from orchestrator.worker.data.decoded import open_training_images
from orchestrator.worker.data.helpers import Helpers
from orchestrator.worker.data.images import CorruptImage, SplitImages
from orchestrator.worker.data.index import load_index
from orchestrator.worker.data.loader import Feed, Portion, training_portions
from orchestrator.worker.data.packing import Packing
from orchestrator.worker.data.remote import RemoteImages, Stream, refuse_strangers_commands
from orchestrator.worker.data.verify import find_corrupt, find_faults
from orchestrator.worker.draws import uniforms
from orchestrator.worker.stop import StopFlag

Paint = Callable[..., bytes]
SHARDS, EACH = 3, 8
DATA = DataConfig(name="far", crop="random_resized", flip=True)
FEED = Feed(data=DATA, train=TrainConfig(batch_size=5, chunk=1), data_seed=2, img_size=8)
STEPS = 5  # of an epoch of 24 images: four of 5, then 4


def tarred(path: Path, members: list[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, paint: Paint) -> Path:
    """Three tars for training and one for validation; keys come again in each, as they may."""
    folder = tmp_path_factory.mktemp("source")
    for shard in range(SHARDS + 1):
        members = []
        for n in range(EACH):
            members += [
                (f"dir/a.{n}.JPG", paint(100 * shard + n, kind="JPEG")),
                (f"dir/a.{n}.cls", str(n % 4).encode()),
                (f"dir/a.{n}.txt", b"passed over"),
            ]
        tarred(folder / ("val.tar" if shard == SHARDS else f"t-{shard}.tar"), members)
    return folder


@pytest.fixture
def own(source: Path, tmp_path: Path) -> Path:
    """The same, in a copy that a test may spoil."""
    return Path(shutil.copytree(source, tmp_path / "source"))


@pytest.fixture
def web(own: Path) -> Iterator[str]:
    with served(own) as address:
        yield address


def adopted(data_root: Path, train: list[str], val: str) -> Manifest:
    adoption = Adoption(
        name="far",
        source="a test",
        tars={"train": find_tars(train), "val": find_tars([val])},
        members=Members(),
    )
    return adopt(data_root, adoption, Packing(processes=1))


@pytest.fixture
def far(web: str, tmp_path: Path) -> tuple[Path, Manifest]:
    return tmp_path, adopted(tmp_path, [web + "/t-{0..2}.tar"], web + "/val.tar")


def opened(data_root: Path, manifest: Manifest, px: int | None = None) -> RemoteImages:
    images = open_training_images(data_root, manifest, px, Placement(), StopFlag())
    assert isinstance(images, RemoteImages)
    return images


def seen(portions: list[Portion]) -> bytes:
    return b"".join(portion.images.numpy().tobytes() for portion in portions)


def test_of_remote_shards_the_index_is_kept_and_those_for_validation(
    far: tuple[Path, Manifest], source: Path
) -> None:
    data_root, manifest = far
    assert load_manifest(data_root, "far") == manifest
    assert [url.rsplit("/", 1)[1] for url in manifest.remote] == ["t-0.tar", "t-1.tar", "t-2.tar"]
    assert manifest.counts == {"train": [6] * 4, "val": [2] * 4}
    assert sorted(p.name for p in (data_root / "far").glob("*.tar")) == ["val-00000.tar"]
    check_shards(data_root, manifest)
    assert find_faults(data_root, manifest) == find_corrupt(data_root, manifest, 1) == []
    with closing(SplitImages(load_index(data_root, manifest, "val"))) as val:
        assert len([val.image(n) for n in range(EACH)]) == EACH
    local = adopted(data_root / "local", [str(source / "t-*.tar")], str(source / "val.tar"))
    assert (manifest.content_hash, manifest.layout_hash) == (local.content_hash, local.layout_hash)


def test_an_epoch_of_one_stream_has_every_image_once_with_its_label_and_the_view_of_files(
    far: tuple[Path, Manifest], own: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    local_root = far[0] / "local"
    local = adopted(local_root, [str(own / "t-*.tar")], str(own / "val.tar"))
    with closing(SplitImages(load_index(local_root, local, "train"))) as files:
        wanted = Counter(
            (training_view(files.image(n), DATA, 8, draws(0, n)).tobytes(), label)
            for n, label in enumerate(files.index.label.tolist())
        )
    portions = list(training_portions(opened(*far), FEED, range(2 * STEPS)))

    assert [portion.total for portion in portions] == [5, 5, 5, 5, 4] * 2
    first = portions[:STEPS]
    views = (view.tobytes() for portion in first for view in portion.images.numpy())
    labels = (label for portion in first for label in portion.labels.tolist())
    assert Counter(zip(views, labels, strict=True)) == wanted
    assert seen(first) != seen(portions[STEPS:])
    assert "warning: Training shards are streamed" in capfd.readouterr().out


def draws(epoch: int, position: int) -> np.ndarray:
    return uniforms(DRAWS, "augment", 2, epoch, position)


def test_the_same_start_streams_the_same_and_another_step_a_new_shuffle(
    far: tuple[Path, Manifest],
) -> None:
    whole, again = (list(training_portions(opened(*far), FEED, range(7))) for _ in range(2))
    late = list(training_portions(opened(*far), FEED, range(2, 7)))

    assert seen(whole) == seen(again)
    assert seen(late[:3]) != seen(whole[2:5])
    assert seen(late[3:]) == seen(whole[5:])  # the next epoch is as if nothing had been


def test_each_rank_and_helper_streams_shards_of_its_own(far: tuple[Path, Manifest]) -> None:
    images = opened(*far)
    shards = [
        {int(images.index.shard[one.position]) for one in islice(images.stream(2, 0, place), 8)}
        for place in (Stream(number, 3, 0) for number in range(3))
    ]
    assert sorted(shards, key=min) == [{0}, {1}, {2}]

    two = replace(FEED, world=2)
    for rank in range(2):
        portions = list(training_portions(images, replace(two, rank=rank), range(STEPS)))
        assert [len(portion.images) for portion in portions] == [(3, 2)[rank]] * 4 + [2]
    helped = list(training_portions(images, FEED, range(STEPS), Helpers(processes=2)))
    assert [portion.step for portion in helped] == list(range(STEPS))
    with pytest.raises(DataError, match=r"3 shard\(s\), and each of 4 streams"):
        training_portions(images, two, range(STEPS), Helpers(processes=2))


def test_a_command_gives_a_shard(own: Path, tmp_path: Path) -> None:
    commands = [f"pipe:cat '{own}/t-{n}.tar'" for n in range(3)]
    manifest = adopted(tmp_path, commands, f"pipe:cat '{own}/val.tar'")

    portions = list(training_portions(opened(tmp_path, manifest), FEED, range(STEPS)))

    assert sum(len(portion.images) for portion in portions) == 24


def test_a_command_that_somebody_else_may_have_written_is_not_run(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = adopted(tmp_path, [f"pipe:cat {own}/t-0.tar"], str(own / "val.tar"))
    path = tmp_path / "far" / "manifest.json"
    path.chmod(0o664)
    with pytest.raises(DataError, match="only commands of your own are run"):
        opened(tmp_path, manifest)
    path.chmod(0o644)
    monkeypatch.setattr(os, "getuid", lambda: 4242)

    with pytest.raises(DataError, match="only commands of your own are run"):
        opened(tmp_path, manifest)


def test_what_is_no_plain_address_counts_as_a_command(own: Path) -> None:
    manifest = own / "t-0.tar"
    manifest.chmod(0o664)
    refuse_strangers_commands(manifest, ("http://there/t.tar", "https://there/t.tar"))

    for url in ("PIPE:cat t", " pipe:cat t", "file:t", "t.tar"):
        with pytest.raises(DataError, match="only commands of your own are run"):
            refuse_strangers_commands(manifest, (url,))


def other_bytes(path: Path) -> None:
    shutil.copy(path.with_name("val.tar"), path)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (other_bytes, "is no longer what was adopted"),
        (truncated, "cannot be read to its end|its images are missing"),
        (Path.unlink, "cannot be read to its end"),
    ],
)
@pytest.mark.parametrize("processes", [0, 1])
def test_a_shard_that_is_another_one_now_ends_the_job(
    far: tuple[Path, Manifest],
    own: Path,
    spoil: Callable[[Path], None],
    words: str,
    processes: int,
) -> None:
    spoil(own / "t-1.tar")

    with pytest.raises(DataError, match=words) as caught:
        list(training_portions(opened(*far), FEED, range(STEPS), Helpers(processes=processes)))
    assert "t-1.tar" in str(caught.value)


def test_an_image_that_does_not_decode_any_more_is_told_or_passed_over(
    far: tuple[Path, Manifest], own: Path
) -> None:
    images = opened(*far)
    path, start = own / "t-2.tar", int(images.index.offset[16])
    content = bytearray(path.read_bytes())
    content[start : start + 40] = b"\0" * 40
    path.write_bytes(content)

    with pytest.raises(CorruptImage, match=r"'dir/a.0' of .*t-2.tar is no whole image"):
        list(training_portions(images, FEED, range(STEPS)))
    skip = replace(FEED, data=DATA.model_copy(update={"corrupt": "skip"}))
    portions = list(training_portions(images, skip, range(STEPS)))
    met = [one.key for portion in portions for draw in portion.corrupt for one in draw]
    assert sum(len(portion.images) for portion in portions) == 24
    assert met[0] == "dir/a.0"


def test_what_cannot_be_fetched_leaves_no_dataset(web: str, own: Path, tmp_path: Path) -> None:
    truncated(own / "t-0.tar")
    for url in (web + "/none.tar", web + "/t-0.tar", "pipe:exit 3"):
        with pytest.raises(DataError):
            adopted(tmp_path, [url], web + "/val.tar")
    assert not [path for path in tmp_path.iterdir() if path.name != "source"]
    with pytest.raises(DataError, match="files or URLs, not both"):
        find_tars([web + "/t-1.tar", str(own / "t-2.tar")])


def test_what_a_stream_cannot_do_is_refused(far: tuple[Path, Manifest], paint: Paint) -> None:
    images = opened(*far)
    repeated = replace(FEED, train=TrainConfig(batch_size=5, chunk=1, repeats=3))

    with pytest.raises(SpecError, match=r"decoded_px is 8, .* are streamed"):
        opened(*far, px=8)
    with pytest.raises(SpecError, match=r"train.repeats is 3"):
        training_portions(images, repeated, range(2))
    with pytest.raises(DataError, match="cannot be asked for by itself"):
        images.image(0)
    assert pixels(paint(0), 3).shape == (10, 12, 3)
