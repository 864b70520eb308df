"""The packages of a user's own that a sweep uses: their folders, as its revision names them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.jobs.layout import Root
from orchestrator.jobs.store import newest_revision

KEY = "packages"


def described(packages: Mapping[str, Path]) -> dict[str, Any]:
    """What a sweep's revision says of them; nothing where there are none."""
    return {KEY: {name: str(folder) for name, folder in packages.items()}} if packages else {}


def packages_of(revision: Mapping[str, Any]) -> dict[str, Path]:
    """Folders by package, as they were on the machine that launched this revision."""
    return {name: Path(folder) for name, folder in revision.get(KEY, {}).items()}


def packages_of_sweep(root: Root, name: str) -> dict[str, Path]:
    """Those of a sweep's newest revision; none where it was never launched."""
    newest = newest_revision(root, name)
    return packages_of(newest[1]) if newest else {}
