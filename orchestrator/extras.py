"""Packages that a machine which only launches may lack, and the extra that brings each."""

from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.errors import PackageError

EXTRAS = {
    "numpy": "data",
    "PIL": "data",
    "webdataset": "data",
    "sklearn": "digits",
    "matplotlib": "plots",
    "scipy": "stats",
    "torch": "train",
    "timm": "train",
    "submitit": "slurm",
    "ray": "ray",
    "mlflow": "mlflow",
    "pandas": "frames",
}


@contextmanager
def naming_extras() -> Iterator[None]:
    """Within it, a package of an extra that is not installed is an error of ours.

    Raises:
        PackageError: naming the package, and the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(error.name or "")
        if extra is None:
            raise
        raise PackageError(
            f"this needs the package {error.name}, which is not installed here. "
            f"Try: pip install 'orchestrate-vit[{extra}]'"
        ) from error
