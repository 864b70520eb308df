import errno
import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from orchestrator.config import Placement, RunConfig
from orchestrator.config.data import DataConfig
from orchestrator.config.train import TrainConfig
from orchestrator.errors import DataError
from orchestrator.jobs.datasets import Manifest
from orchestrator.jobs.facts import Ending, read_attempts
from orchestrator.jobs.identity import job_id
from orchestrator.jobs.layout import Root
from orchestrator.jobs.records import write_job
from orchestrator.jobs.submissions import Submission, write_intent
from orchestrator.worker import main as worker
from orchestrator.worker.claim import Claim, Membership, claim
from orchestrator.worker.data import decoded, decoding
from orchestrator.worker.data.augment import DRAWS, random_box, training_view
from orchestrator.worker.data.corrupt import shown_at
from orchestrator.worker.data.decoded import folder_of, open_training_images
from orchestrator.worker.data.decoding import bounded, bounded_size, check_room
from orchestrator.worker.data.helpers import Helpers
from orchestrator.worker.data.images import CorruptImage, Images, SplitImages
from orchestrator.worker.data.index import load_index
from orchestrator.worker.data.loader import Feed, Portion, training_portions
from orchestrator.worker.data.samples import About, Sample
from orchestrator.worker.data.shards import ShardLimits, write_dataset
from orchestrator.worker.draws import uniforms
from orchestrator.worker.place import Place
from orchestrator.worker.stop import StopFlag, Stopped

Prepared = tuple[Path, Manifest]
DATA = DataConfig(name="photos", crop="random_resized", flip=True, decoded_px=40)
FEED = Feed(data=DATA, train=TrainConfig(batch_size=8, chunk=2), data_seed=1, img_size=16)
SIZES = [(80, 60), (60, 90), (33, 64), (20, 30), (40, 40), (200, 41)]
RANK = Path(__file__).parents[2] / "support" / "decoding_rank.py"


def photo(seed: int, width: int, height: int) -> Image.Image:
    """Smooth colours with an edge and some noise."""
    coarse = (uniforms((5, 6, 3), "coarse", seed) * 255).astype(np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    array = np.asarray(smooth, np.float64) + uniforms((height, width, 3), "grain", seed) * 16 - 8
    array[:, width // 2 :] *= 0.6
    return Image.fromarray(array.clip(0, 255).astype(np.uint8))


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """24 photos of several sizes, and one for validation."""
    data_root = tmp_path_factory.mktemp("data")
    samples = [
        Sample(f"k{n}", "train" if n < 24 else "val", 0, jpeg(photo(n, *SIZES[n % 6])), "jpg")
        for n in range(25)
    ]
    about = About(name="photos", source="a test", split_rule="by hand", classes=("a",))
    return data_root, write_dataset(data_root, about, samples, ShardLimits(samples=10))


def opened(prepared: Prepared, px: int | None, folder: Path) -> Images:
    placement = Placement(cache_dir=str(folder))
    return open_training_images(*prepared, px, placement, StopFlag())


def content(portion: Portion) -> tuple[Any, ...]:
    pixels = portion.images.numpy().tobytes()
    return pixels, portion.labels.tolist(), portion.pieces, portion.corrupt


def copies(folder: Path) -> list[Path]:
    """All that lies where copies are made, leases that are free aside."""
    found = folder.glob("orchestrate-*/*")
    return [path for path in found if not (path.suffix == ".lease" and not any(path.iterdir()))]


def test_an_unreduced_copy_gives_the_bits_that_streaming_gives(
    photos: Prepared, tmp_path: Path
) -> None:
    streaming, copy = opened(photos, None, tmp_path), opened(photos, 1000, tmp_path)

    for one, other in zip(
        training_portions(streaming, FEED, range(6)),
        training_portions(copy, FEED, range(6)),
        strict=True,
    ):
        assert content(one) == content(other)


def test_the_shorter_side_is_bounded_and_nothing_is_enlarged(
    photos: Prepared, tmp_path: Path
) -> None:
    copy = opened(photos, 40, tmp_path)
    source = SplitImages(load_index(*photos, "train"))

    for position in range(len(copy)):
        original = Image.fromarray(source.image(position))
        wanted = (
            original.width * 40 // min(original.size),
            original.height * 40 // min(original.size),
        )
        if min(original.size) > 40:
            original = original.resize(wanted, Image.Resampling.BICUBIC)
        assert np.array_equal(copy.image(position), original)
    assert {min(copy.image(n).shape[:2]) for n in range(24)} == {20, 33, 40}


def test_boxes_in_a_bounded_image_are_those_of_the_original_in_its_own_scale() -> None:
    full, small = np.array([500, 375] * 2), np.array([341, 256] * 2)
    assert bounded_size(500, 375, 256) == (341, 256)
    boxes = [
        [
            random_box(tuple(sides[:2].tolist()), uniforms(DRAWS, "box", n))
            for sides in (full, small)
        ]
        for n in range(4000)
    ]
    one, other = (np.array(side) for side in zip(*boxes, strict=True))
    apart = np.abs(one / full - other / small).max(axis=1)
    assert (apart < 2 / 256).mean() > 0.99  # in the others, one more try fits in one of the two

    for mine, theirs in zip(described(one, full), described(other, small), strict=True):
        at = np.quantile(mine, np.linspace(0.02, 0.98, 49))
        shares = [(np.sort(found)[:, None] <= at).mean(axis=0) for found in (mine, theirs)]
        assert np.abs(shares[0] - shares[1]).max() < 0.02  # Kolmogorov and Smirnov's distance


def described(boxes: NDArray[np.int64], sides: NDArray[np.int64]) -> list[NDArray[np.float64]]:
    """Of boxes: their share of the area, ratio of sides, and place in the room that is left."""
    shape = boxes[:, 2:] - boxes[:, :2]
    room = sides[:2] - shape
    roomy = room.min(axis=1) > 20
    place = (boxes[:, :2][roomy] + uniforms((roomy.sum(), 2), "within")) / (room[roomy] + 1)
    return [shape.prod(axis=1) / sides[:2].prod(), shape[:, 0] / shape[:, 1], *place.T]


def test_a_reduced_copy_blurs_a_view_by_some_levels() -> None:
    data = DataConfig(name="x", crop="random_resized")
    errors = []
    for n in range(40):
        original = np.asarray(photo(n, 500, 375))
        copy = bounded(original, 256)
        draws = uniforms(DRAWS, "view", n)
        views = [training_view(image, data, 224, draws).astype(float) for image in (original, copy)]
        errors.append(np.square(views[0] - views[1]).mean())

    assert 0.5 < np.sqrt(np.mean(errors)) < 6  # 4.5 in photographs


def test_helpers_ranks_and_a_resumed_run_see_the_same_of_a_copy(
    photos: Prepared, tmp_path: Path
) -> None:
    copy = opened(photos, 40, tmp_path)
    whole = [content(portion) for portion in training_portions(copy, FEED, range(6))]

    with_helpers = training_portions(copy, FEED, range(2, 6), Helpers(processes=2))
    assert [content(portion) for portion in with_helpers] == whole[2:]
    again = opened(photos, 40, tmp_path)
    shares = [
        list(training_portions(again, replace(FEED, rank=rank, world=2), range(6)))
        for rank in range(2)
    ]
    for step, (one, two) in enumerate(zip(*shares, strict=True)):
        pixels = b"".join(p.images.numpy().tobytes() for p in (one, two))
        assert sorted(pixels) == sorted(whole[step][0])


def test_jobs_of_the_same_dataset_and_size_share_a_copy(
    photos: Prepared, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for px in (40, 40, 30):
        opened(photos, px, tmp_path)

    assert capfd.readouterr().out.count("Decoding 24 images of 'photos'") == 2
    assert len(copies(tmp_path)) == 2


@pytest.mark.parametrize("name", ["meta.json", "sizes.npz", "pixels.bin"])
def test_a_copy_of_which_a_node_s_cleaning_took_a_file_is_made_anew(
    photos: Prepared, tmp_path: Path, name: str
) -> None:
    before = opened(photos, 40, tmp_path)
    (copy,) = copies(tmp_path)
    (copy / name).unlink()

    after = opened(photos, 40, tmp_path)

    assert copies(tmp_path) == [copy]
    assert np.array_equal(after.image(3), before.image(3))


def test_tars_that_were_adopted_for_other_images_in_them_have_a_copy_of_their_own(
    photos: Prepared, tmp_path: Path
) -> None:
    opened(photos, 40, tmp_path)
    data_root, manifest = photos

    opened((data_root, manifest.model_copy(update={"content_hash": "0" * 64})), 40, tmp_path)

    assert len(copies(tmp_path)) == 2


def test_corrupt_images_get_the_answers_that_streaming_gives(
    spoilt: Prepared, tmp_path: Path
) -> None:
    streaming, copy = opened(spoilt, None, tmp_path), opened(spoilt, 50, tmp_path)
    skip = DataConfig(name="set", corrupt="skip", max_corrupt=4)

    for position in range(len(copy)):
        one, other = shown_at(streaming, position, skip), shown_at(copy, position, skip)
        assert one[1:] == other[1:]
        assert np.array_equal(one.image, other.image)
    words = []
    for images in (streaming, copy):
        with pytest.raises(CorruptImage) as caught:
            images.image(3)
        words.append(str(caught.value))
    assert words[0] == words[1]


def rank(prepared: Prepared, folder: Path, slow_s: float) -> "subprocess.Popen[str]":
    words = [str(prepared[0]), prepared[1].name, "40", str(folder), str(slow_s)]
    return subprocess.Popen([sys.executable, str(RANK), *words], stdout=subprocess.PIPE, text=True)


def wait_for(what: Callable[[], bool]) -> None:
    last = time.monotonic() + 60
    while not what():
        assert time.monotonic() < last
        time.sleep(0.02)


def test_a_killed_filler_leaves_nothing_that_is_taken_for_whole(
    photos: Prepared, tmp_path: Path
) -> None:
    killed = rank(photos, tmp_path, 0.5)
    wait_for(lambda: any(tmp_path.glob("orchestrate-*/.tmp-photos-*/pixels.bin")))
    killed.kill()
    killed.wait()
    assert len(copies(tmp_path)) == 2  # its lease, and a part

    images = opened(photos, 40, tmp_path)

    assert len(images) == 24
    assert [path.name[:6] for path in copies(tmp_path)] == ["photos"]


def test_of_two_that_come_at_once_one_decodes(photos: Prepared, tmp_path: Path) -> None:
    both = [rank(photos, tmp_path, 0.1) for _ in range(2)]
    said = [process.communicate(timeout=100)[0] for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert "".join(said).count("Decoding 24 images") == 1
    assert "".join(said).count("Waiting for decoded images") <= 1
    assert said[0].splitlines()[-1] == said[1].splitlines()[-1]
    assert said[0].splitlines()[-1].startswith("open 24 ")


def test_a_filler_that_is_asked_to_stop_leaves_nothing(photos: Prepared, tmp_path: Path) -> None:
    stop = StopFlag()
    stop.note(15, None)

    with pytest.raises(Stopped):
        open_training_images(*photos, 40, Placement(cache_dir=str(tmp_path)), stop)
    with pytest.raises(Stopped):
        list(decoding._in_all(str, [1, 2], stop))
    assert copies(tmp_path) == []


def test_too_little_room_is_told_before_anything_is_decoded(
    photos: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=5000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    with pytest.raises(DataError, match=r"need 1\d\d,\d{3} bytes, but .* has 5,000 free") as caught:
        opened(photos, 40, tmp_path)
    for advice in ("data.decoded_px", "placement.cache_dir", "null"):
        assert advice in str(caught.value)
    assert copies(tmp_path) == []


def test_a_disk_that_fills_up_meanwhile_is_one_message_and_leaves_nothing(
    photos: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)

    with pytest.raises(DataError, match=r"took no more .*No space left.* need 1\d\d,\d{3} bytes"):
        opened(photos, 40, tmp_path)
    assert copies(tmp_path) == []


def test_in_memory_the_limits_of_control_groups_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = tmp_path / "job" / "step"
    group.mkdir(parents=True)
    for folder, most, used in ((tmp_path / "job", "9000", "2000"), (group, "max", "1")):
        (folder / "memory.max").write_text(most)
        (folder / "memory.current").write_text(used)
    (tmp_path / "own").write_text("0::/job/step\n")
    monkeypatch.setattr(decoding, "CGROUPS", tmp_path)
    monkeypatch.setattr(decoding, "CGROUP", tmp_path / "own")

    assert check_room(7000, tmp_path, in_memory=True) == 7000
    with pytest.raises(DataError, match=r"need 7,001 bytes, .* has 7,000 free"):
        check_room(7001, tmp_path, in_memory=True)
    assert check_room(7001, tmp_path, in_memory=False) > 7001


def test_a_copy_lies_where_the_placement_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = f"orchestrate-{os.getuid()}"
    monkeypatch.setattr(decoded, "MEMORY", tmp_path / "memory")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))

    assert folder_of(Placement()) == tmp_path / "scratch" / own
    assert folder_of(Placement(cache="ram")) == tmp_path / "memory" / own
    assert folder_of(Placement(cache_dir=str(tmp_path))) == tmp_path / own
    with pytest.raises(ValidationError, match="cache_dir is /x, but cache is ram"):
        Placement(cache="ram", cache_dir="/x")
    for place in ("copies", "~/copies", "$SCRATCH/copies"):
        with pytest.raises(ValidationError, match="use a path that begins with /"):
            Placement(cache_dir=place)


def test_another_users_folder_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_of(Placement(cache_dir=str(tmp_path))).rename(tmp_path / "orchestrate-4242")
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: 4242)

    with pytest.raises(DataError, match=f"is user {owner}'s"):
        folder_of(Placement(cache_dir=str(tmp_path)))


def test_a_job_that_is_stopped_before_its_images_are_there_says_so_and_is_trained_later(
    root: Root, tiny: Callable[..., RunConfig], digits: Path, tmp_path: Path
) -> None:
    config = tiny(data__decoded_px=5, train__epochs=1)
    write_job(root, job_id(config), config)
    submission = Submission(
        executor="local",
        jobs=[job_id(config)],
        names=["tiny"],
        placement=Placement(cache_dir=str(tmp_path / "copies")),
        max_parallel=1,
        snapshot="none",
        python="python",
        data_root=str(digits),
        owner="me",
    )
    write_intent(root, submission, "true\n")
    stop = StopFlag()
    stop.note(15, None)
    codes = []
    for flag in (stop, StopFlag()):
        me = Membership(root, submission, 0)
        attempt = claim(me, Place(restart=len(codes)), 1)
        assert not isinstance(attempt, str)
        codes.append(worker._run(Claim(me, Place(), attempt, None), flag))

    assert codes == [75, 0]
    attempts = read_attempts(root.job(job_id(config)))
    assert [one.ending for one in attempts] == [Ending.STOPPED, Ending.FINISHED]
