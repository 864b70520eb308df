"""The peers' packages, in an environment of their own."""

import json
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

PACKAGES = {
    "submitit": ("submitit",),
    "hydra": ("hydra-core", "hydra-submitit-launcher"),
    "dora": ("dora-search",),
}
FIND = """\
import importlib.metadata as m, json, sys
found = {}
for name in sys.argv[1:]:
    try: found[name] = m.version(name)
    except m.PackageNotFoundError: pass
print(json.dumps(found))
"""


def make_environment(folder: Path) -> Path:
    """Its Python; what cannot be installed is told, and is then missing from ``versions``."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    for name, packages in PACKAGES.items():
        install = [str(python), "-m", "pip", "install", "--quiet", *packages]
        if subprocess.run(install, check=False, stdout=sys.stderr).returncode:
            print(f"{name} could not be installed: {' '.join(install)}", file=sys.stderr)
    return python


def versions(python: Path, packages: Collection[str]) -> dict[str, str]:
    """Of those of these packages that are there."""
    asked = [str(python), "-c", FIND, *packages]
    answer = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    found: dict[str, str] = json.loads(answer)
    return found
