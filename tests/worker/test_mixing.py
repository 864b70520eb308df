from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from timm.data.mixup import Mixup, rand_bbox
from torch import Tensor

from orchestrator.config import RunConfig
from orchestrator.worker.data.loader import Portion
from orchestrator.worker.data.order import Piece
from orchestrator.worker.mixing import Draw, Mixing, box_of, draw

Tiny = Callable[..., RunConfig]
CPU = torch.device("cpu")
SIZE = 8
MIXUP, CUTMIX = {"train__mixup": 0.8}, {"train__cutmix": 1.0}
BOTH = MIXUP | CUTMIX


def portion(*chunks: int, sizes: Sequence[int] = (6,), step: int = 3) -> Portion:
    """Images whose pixels say who they are: image n of a chunk is n everywhere."""
    pieces = tuple(Piece(c, n) for c, n in zip(chunks, sizes * len(chunks), strict=False))
    count = sum(piece.images for piece in pieces)
    pixels = torch.arange(count).byte()[:, None, None, None].expand(-1, 1, SIZE, SIZE)
    return Portion(step, 0, pixels, torch.arange(count) % 10, pieces, count, stand_in=False)


def mixed(config: RunConfig, whole: Portion, part: slice = slice(None)) -> tuple[Tensor, Tensor]:
    found = Mixing.of(config, whole, CPU).of_part(whole.images, whole.labels, part)
    own, partners = whole.images[part].float(), found.partners.float()
    return found.images(own, partners), found.targets(whole.labels[part], 10)


def test_mixup_blends_an_image_with_its_mirror_image_in_the_chunk(tiny: Tiny) -> None:
    config, whole = tiny(**MIXUP), portion(2)
    share = draw(config, 3, 2).share

    images, targets = mixed(config, whole)

    own, others = torch.arange(6.0), torch.arange(5.0, -1, -1)
    blend = own * share + others * (1 - share)
    torch.testing.assert_close(images, blend[:, None, None, None].expand(-1, 1, SIZE, SIZE))
    assert targets[0, [0, 5]].tolist() == pytest.approx([share, 1 - share])


def test_cutmix_pastes_a_box_and_counts_its_pixels(tiny: Tiny) -> None:
    config = tiny(**CUTMIX)
    for step in range(40):
        images, targets = mixed(config, portion(2, step=step))
        left = (images[0] == 0).float().mean().item()  # of image 0; the rest is image 5

        assert images[0].unique().tolist() in ([0.0], [0.0, 5.0], [5.0])
        assert targets[0, [0, 5]].tolist() == pytest.approx([left, 1 - left])
        rows, columns = (images[0, 0] == 5).nonzero().unbind(1)
        assert len(rows) == len(rows.unique()) * len(columns.unique())


@pytest.mark.parametrize("settings", [MIXUP, CUTMIX])
def test_timm_s_mixup_makes_the_same_of_the_same_draws(
    tiny: Tiny, settings: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, whole = tiny(**settings), portion(0, sizes=(10,))
    drawn = draw(config, 3, 0)
    images, targets = mixed(config, whole)
    theirs = Mixup(num_classes=10, label_smoothing=0.0, mode="batch")
    cut = drawn.blend == 1
    monkeypatch.setattr(theirs, "_params_per_batch", lambda: (drawn.share, cut))
    monkeypatch.setattr(
        "timm.data.mixup.cutmix_bbox_and_lam", lambda *_, **__: (drawn.box, drawn.share)
    )

    found, shares = theirs(whole.images.float().clone(), whole.labels)

    torch.testing.assert_close(images, found)
    torch.testing.assert_close(targets, shares)


def test_a_box_of_an_even_side_is_that_of_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    """An odd one is a pixel smaller, as in the timm that DeiT was trained with."""
    for share, row, column in [(0.3, 2, 7), (0.9, 4, 4), (0.4, 0, 5), (0.75, 7, 0)]:
        centre = iter((row, column))
        monkeypatch.setattr(np.random, "randint", lambda *_, at=centre, **__: next(at))

        theirs = rand_bbox((1, 1, SIZE, SIZE), share)

        assert box_of(SIZE, share, row, column) == tuple(map(int, theirs))


def test_targets_add_up_to_one_and_have_two_classes_at_most(tiny: Tiny) -> None:
    for step in range(50):
        _, targets = mixed(tiny(**BOTH), portion(0, 1, step=step))

        torch.testing.assert_close(targets.sum(dim=1), torch.ones(12))
        assert (targets > 0).sum(dim=1).max() <= 2
        assert (targets >= 0).all()


def test_smoothing_would_make_every_class_present(tiny: Tiny) -> None:
    """Why bce refuses it."""
    _, targets = mixed(tiny(**BOTH), portion(0))

    assert ((0.9 * targets + 0.1 / 10) > 0).sum(dim=1).tolist() == [10] * 6


def test_chunks_are_mixed_within_themselves_whoever_has_them(tiny: Tiny) -> None:
    config, whole = tiny(**BOTH), portion(0, 1, 2)
    images, targets = mixed(config, whole)

    for chunk in range(3):
        part = slice(6 * chunk, 6 * chunk + 6)
        alone = replace(
            whole, images=whole.images[part], labels=whole.labels[part], pieces=(Piece(chunk, 6),)
        )
        assert torch.equal(mixed(config, alone)[0], images[part])
        assert torch.equal(mixed(config, alone)[1], targets[part])


@pytest.mark.parametrize("size", [1, 4, 5, 18])
def test_a_part_is_mixed_with_partners_outside_of_it(tiny: Tiny, size: int) -> None:
    config, whole = tiny(**BOTH), portion(0, 1, 2)
    cuts = [slice(start, start + size) for start in range(0, 18, size)]

    parts = [mixed(config, whole, cut) for cut in cuts]

    for found, wanted in zip(map(torch.cat, zip(*parts, strict=True)), mixed(config, whole)):  # noqa: B905
        assert torch.equal(found, wanted)


def test_a_short_chunk_of_an_odd_number_leaves_its_middle_image_alone(tiny: Tiny) -> None:
    images, targets = mixed(tiny(**BOTH), portion(0, sizes=(3,)))

    assert images[1].unique().tolist() == pytest.approx([1.0])
    assert targets[1, 1].item() == pytest.approx(1)


def test_draws_depend_on_seed_step_and_chunk(tiny: Tiny) -> None:
    config = tiny(**BOTH)
    seeded = config.model_copy(update={"seed": 1})
    draws = {
        draw(one, step, chunk) for one in (config, seeded) for step in (0, 1) for chunk in (0, 1)
    }

    assert len(draws) == 8
    assert draw(config, 1, 1) == draw(tiny(**BOTH), 1, 1)


def many(config: RunConfig) -> list[Draw]:
    return [draw(config, step, chunk) for step in range(500) for chunk in range(8)]


def test_half_of_the_chunks_are_cut_and_shares_have_their_distributions(tiny: Tiny) -> None:
    draws = many(tiny(**BOTH))
    blended = np.array([one.blend for one in draws if one.box == (0, 0, 0, 0)])
    blended = blended[blended < 1]

    assert len(blended) / len(draws) == pytest.approx(0.5, abs=0.03)
    assert blended.mean() == pytest.approx(0.5, abs=0.02)
    assert blended.var() == pytest.approx(1 / (4 * (2 * 0.8 + 1)), abs=0.005)  # of Beta(.8, .8)
    often = many(tiny(**BOTH, train__switch_prob=0.9))
    assert np.mean([one.blend == 1 for one in often]) == pytest.approx(0.9, abs=0.02)


def test_boxes_lie_in_the_image_and_have_the_share_that_was_drawn_unless_cut_off(
    tiny: Tiny,
) -> None:
    config = tiny(**CUTMIX, model__img_size=224, model__patch_size=16)
    boxes = np.array([one.box for one in many(config)])
    top, bottom, left, right = boxes.T

    assert boxes.min() >= 0
    assert boxes.max() <= 224
    whole = (top > 0) & (left > 0) & (bottom < 224) & (right < 224)
    assert np.array_equal((bottom - top)[whole], (right - left)[whole])
    assert (~whole).mean() > 0.3
