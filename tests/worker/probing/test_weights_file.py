from argparse import Namespace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model.config import ViTConfig
from model.pretrained import NESTS
from model.vit import build_vit
from orchestrator.errors import DataError
from orchestrator.worker.probing.weights_file import load_weights, read_weights, weights_hash

SMALL = ViTConfig(img_size=8, patch_size=4, num_classes=3, dim=16, depth=1, heads=2)
WEIGHTS = {"a": torch.arange(3.0), "b": torch.zeros(2, 2)}


@pytest.mark.parametrize("key", ["", *NESTS])
def test_weights_are_found_wherever_training_programs_keep_them(tmp_path: Path, key: str) -> None:
    file = tmp_path / "x.pth"
    torch.save({key: WEIGHTS, "args": Namespace(lr=1), "epoch": 3} if key else WEIGHTS, file)

    assert read_weights(file).keys() == WEIGHTS.keys()


@pytest.mark.parametrize("better", [("state_dict_ema", "state_dict"), ("model", "model_ema")])
def test_the_weights_are_those_that_the_program_that_wrote_them_evaluates(
    tmp_path: Path, better: tuple[str, str]
) -> None:
    file = tmp_path / "x.pth"
    torch.save({key: {"a": torch.tensor(float(n))} for n, key in enumerate(better)}, file)

    assert read_weights(file)["a"].item() == 0


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "x.safetensors")

    assert torch.equal(read_weights(tmp_path / "x.safetensors")["a"], WEIGHTS["a"])


class Harmful:
    """A pickle that would act when it is loaded."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("harmed"),)  # type: ignore[return-value]


def test_code_in_a_file_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": WEIGHTS, "args": Harmful()}, tmp_path / "x.pth")

    with pytest.raises(DataError, match=r"x\.pth cannot be read"):
        read_weights(tmp_path / "x.pth")
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("content", [b"", b"no weights at all"])
def test_a_damaged_file_is_told_in_one_message(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pth").write_bytes(content)

    with pytest.raises(DataError, match="cannot be read"):
        read_weights(tmp_path / "x.pth")


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "x.pth")

    with pytest.raises(DataError, match="'epoch' is a int, no tensor"):
        read_weights(tmp_path / "x.pth")


def test_weights_of_another_architecture_are_refused_by_name(tmp_path: Path) -> None:
    state = build_vit(SMALL).state_dict()
    model = build_vit(ViTConfig(**{**_plain(SMALL), "registers": 2}))

    with pytest.raises(DataError, match=r"2 registers.*reg_token"):
        load_weights(model, state, tmp_path / "x.pth")


def test_the_hash_tells_weights_apart_and_not_files() -> None:
    one, same, other = (build_vit(SMALL, seed) for seed in (0, 0, 1))

    assert weights_hash(one) == weights_hash(same) != weights_hash(other)


def _plain(config: ViTConfig) -> dict[str, object]:
    return {name: getattr(config, name) for name in config.__dataclass_fields__}
