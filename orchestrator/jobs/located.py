"""Where a run root and datasets are: as asked, by the environment, else near where one is."""

import os
from pathlib import Path


def locate_root(asked: str | None) -> Path:
    """``asked``, else $ORCHESTRATE_ROOT, else the nearest runs/root.json upward, else ./runs."""
    if asked or (asked := os.environ.get("ORCHESTRATE_ROOT")):
        return Path(asked).absolute()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "runs" / "root.json").is_file():
            return folder / "runs"
    return here / "runs"


def locate_data(asked: str | None, site: str | None = None) -> Path:
    """The data root: ``asked``, else $ORCHESTRATE_DATA, else the site's, else ./data."""
    return Path(asked or os.environ.get("ORCHESTRATE_DATA") or site or "data").absolute()
