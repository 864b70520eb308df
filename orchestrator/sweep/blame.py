"""Tracing a fault of a merged configuration to the line that set the offending value."""

import re
from collections.abc import Sequence

from pydantic import ValidationError

from orchestrator.sweep import keys
from orchestrator.sweep.faults import Faults, explain
from orchestrator.sweep.settings import Layer, Setting
from orchestrator.sweep.strict_yaml import Place


def add_config_faults(
    faults: Faults, error: ValidationError, layer: Layer, *, file: Place, example: str
) -> None:
    """Note what pydantic found in the configuration made of ``layer``.

    A fault of one setting stands at its line. A fault of a whole group, such as two sizes that do
    not fit, stands at the last written of the settings that its message names, and lists the
    others. What nobody wrote stands at ``file``. ``example`` names the point it was found in.
    """
    for detail in error.errors():
        key = ".".join(map(str, detail["loc"]))
        problem = explain(detail, key)
        if isinstance(detail["input"], list):
            problem += "; several values belong in grid"
        blamed = _blamed(key, problem, layer)
        places = list(dict.fromkeys(setting.place for _, setting in blamed)) or [file]
        if len(blamed) > 1:
            written = (f"{name} at {setting.place}" for name, setting in blamed)
            problem += f"; {', '.join(written)}"
        faults.add(places[-1], problem, example if key in keys.SECTIONS or not key else "")


def _blamed(key: str, problem: str, layer: Layer) -> Sequence[tuple[str, Setting]]:
    if key in layer:
        return [(key, layer[key])]
    words = set(re.findall(r"\w+", problem))
    prefix = f"{key}." if key else ""
    return [
        (name, setting)
        for name, setting in layer.items()
        if name.startswith(prefix) and name.rpartition(".")[2] in words
    ]
