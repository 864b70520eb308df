"""Where timm's weights come from: this machine's cache first, and then only from who answers."""

import socket
from pathlib import Path
from typing import Any

import huggingface_hub.constants as hub
import pytest
import timm
import torch
from support.timm_cache import NAME, REVISION, fill_cache

from orchestrator.errors import SpecError, WeightsError
from orchestrator.worker.probing.hub import PATIENCE_S, pretrained

KNOWN = {"hf_hub_id": f"timm/{NAME}"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of an empty cache, whose hub and proxy are asked at a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = f"http://127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub, "ENDPOINT", nobody)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Whom one tries to reach."""
    tried: list[Any] = []
    connect = socket.create_connection

    def noted(address: Any, *args: Any, **kwargs: Any) -> socket.socket:
        tried.append((*address, kwargs["timeout"]))
        return connect(address, *args, **kwargs)

    monkeypatch.setattr(socket, "create_connection", noted)
    return tried


def test_weights_of_the_cache_are_read_and_nobody_is_asked(
    home: Path, connections: list[Any]
) -> None:
    kept = fill_cache(home)

    found = pretrained(NAME, KNOWN)

    assert torch.equal(found.blocks[0].attn.qkv.weight, kept.blocks[0].attn.qkv.weight)
    assert connections == []
    assert not hub.HF_HUB_OFFLINE


def test_who_does_not_answer_is_asked_once_and_not_for_long(
    home: Path, connections: list[Any]
) -> None:
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1 cannot be reached .*refused"):
        pretrained(NAME, KNOWN)

    ((host, _, patience),) = connections
    assert (host, patience) == ("127.0.0.1", PATIENCE_S)
    assert not (home / "hub").exists()


def test_behind_a_proxy_that_one_is_asked(
    home: Path, connections: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "ENDPOINT", "http://hub.example")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")

    with pytest.raises(WeightsError, match="cannot be reached"):
        pretrained(NAME, KNOWN)

    assert connections == [("127.0.0.1", port, PATIENCE_S)]


def test_offline_nobody_is_asked(
    home: Path, connections: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)

    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set"):
        pretrained(NAME, KNOWN)

    assert connections == []
    assert hub.HF_HUB_OFFLINE


def test_weights_that_are_damaged_in_the_cache_are_told_as_such(home: Path) -> None:
    fill_cache(home)
    (file,) = home.glob(f"hub/*/snapshots/{REVISION}/model.safetensors")
    file.write_bytes(file.read_bytes()[:1000])

    with pytest.raises(WeightsError, match=r"in the cache .* cannot be read: .*fetch them again"):
        pretrained(NAME, KNOWN)


@pytest.mark.usefixtures("home")
def test_weights_that_are_on_no_hub_are_asked_for_at_their_address(connections: list[Any]) -> None:
    url = f"{hub.ENDPOINT}/models/x.pth"

    with pytest.raises(WeightsError, match="cannot be reached"):
        pretrained(NAME, {"url": url})

    assert len(connections) == 1


def test_a_model_without_weights_is_a_mistake_of_the_sweep() -> None:
    assert timm.create_model(NAME).pretrained_cfg["hf_hub_id"] == KNOWN["hf_hub_id"]
    with pytest.raises(SpecError, match="timm has no weights for 'x'"):
        pretrained("x", {})
