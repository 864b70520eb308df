"""The compiler of a machine that ``torch.compile`` works with."""

import os
import shlex
import shutil

KNOWN = {"cpu": ("CXX", ("g++",)), "cuda": ("CC", ("gcc", "clang"))}
"""By kind of device: the variable that names a compiler, and what is taken where it is not set."""


def missing_compiler(kind: str) -> str | None:
    """Which compiler ``placement.compile`` lacks here for devices of a kind, and what to do."""
    variable, names = KNOWN[kind]
    if variable in os.environ:
        names = tuple(shlex.split(os.environ[variable])[:1])
    if any(shutil.which(name) for name in names):
        return None
    return (
        f"placement.compile is true, but this machine has no {' or '.join(names)} with which to "
        f"compile for {kind}; install one, name another in ${variable}, or set compile: false"
    )
