"""timm's pretrained weights: from the cache of this machine, or from the hub if it answers.

huggingface_hub asks a hub that does not answer for a minute before it gives up, also for what its
cache has. So the cache is asked first, and then whether anybody is there.
"""

import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import torch

from orchestrator.errors import SpecError, WeightsError

PATIENCE_S = 5.0
"""For a connection to the hub, or to the proxy before it."""
PORTS = {"http": 80, "https": 443}


def pretrained(name: str, known: Mapping[str, Any]) -> Any:
    """A model of timm's with its weights; ``known`` is its ``pretrained_cfg``.

    Raises:
        SpecError: timm has no weights for it.
        WeightsError: they are neither in the cache nor to be had, or damaged there.
    """
    import huggingface_hub.constants as hub  # noqa: PLC0415 - beside timm, which takes seconds

    repository, url = known.get("hf_hub_id"), known.get("url")
    if not repository and not url:
        raise SpecError(f"timm has no weights for '{name}'; name one with the tag of its weights.")
    if found := _from_cache(name, url=None if repository else url):
        return found
    if hub.HF_HUB_OFFLINE:
        raise _not_to_be_had(name, "HF_HUB_OFFLINE is set, so nobody was asked for them")
    place = hub.ENDPOINT if repository else str(url)
    if silence := _silence(place):
        raise _not_to_be_had(name, silence)
    try:
        return _created(name)
    except Exception as error:  # noqa: BLE001  # a dozen classes of four libraries
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _not_to_be_had(name, f"{place} did not give them: {words.rstrip('.')}") from None


def _from_cache(name: str, *, url: str | None) -> Any | None:
    """The model, if all that it needs is here; of weights at an address, by that one's file.

    Raises:
        WeightsError: what is here is damaged.
    """
    import huggingface_hub.constants as hub  # noqa: PLC0415 - as above
    from huggingface_hub.errors import EntryNotFoundError  # noqa: PLC0415 - as above

    if url is not None:
        cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name
        return _created(name) if cached.is_file() else None
    asked, hub.HF_HUB_OFFLINE = hub.HF_HUB_OFFLINE, True
    try:
        return _created(name)
    except (OSError, EntryNotFoundError):
        return None
    except Exception as error:
        raise WeightsError(
            f"The weights of '{name}' in the cache of this machine cannot be read: {error}. Remove "
            f"them below {hub.HF_HUB_CACHE}, and fetch them again where there is a network."
        ) from error
    finally:
        hub.HF_HUB_OFFLINE = asked


def _created(name: str) -> Any:
    import timm  # noqa: PLC0415 - as above

    with _quiet("huggingface_hub", "timm"):
        return timm.create_model(name, pretrained=True)


def _silence(address: str) -> str:
    """Why nobody can be asked at an address; empty if somebody listens there, or at its proxy."""
    asked = urlsplit(address)
    proxy = None if proxy_bypass(asked.hostname or "") else getproxies().get(asked.scheme)
    way = urlsplit(proxy) if proxy else asked
    port = way.port or PORTS.get(way.scheme, PORTS["https"])
    try:
        socket.create_connection((way.hostname or "", port), timeout=PATIENCE_S).close()
    except OSError as error:
        return f"{way.hostname} cannot be reached ({error})"
    return ""


def _not_to_be_had(name: str, why: str) -> WeightsError:
    return WeightsError(
        f"The weights of '{name}' are not in the cache of this machine, and {why}. Run this once "
        "where there is a network, and bring the cache here ($HF_HOME, by default "
        "~/.cache/huggingface)."
    )


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Without the warnings of these libraries, which tell of every try."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
