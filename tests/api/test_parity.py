"""Every verb has its method, with the same options, or a reason why it has none."""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

import click
import pytest

from orchestrator.api.root import Root
from orchestrator.api.sweep import Sweep
from orchestrator.cli.main import VERBS, cli

TWINS: dict[str, tuple[Callable[..., Any], ...]] = {
    "plan": (Sweep.load, Sweep.plan),
    "launch": (Sweep.load, Sweep.launch),
    "status": (Root, Root.status),
    "watch": (Root, Root.watch),
    "why": (Root, Root.why),
    "failures": (Root, Root.failures),
    "retry": (Root, Root.retry),
    "logs": (Root, Root.logs),
    "cancel": (Root, Root.cancel),
    "results": (Root, Root.results),
    "emergence": (Root, Root.emergence),
    "compare": (Root, Root.compare),
    "report": (Root, Root.report),
    "usage": (Root, Root.usage),
    "sync": (Root, Root.sync),
    "gc": (Root, Root.gc),
    "flops": (Sweep.load, Sweep.flops),
    "export": (Root, Root.export),
    "import": (Root, Root.import_),
}
"""The functions of which a verb's options are the parameters."""
WITHOUT = {
    "ui": "serves pages until Ctrl-C: a program of its own, not a value",
    "doctor": "looks at the machine and the site as a person does before a study begins",
    "completion": "completes words of a command line",
    "schema": "is a function already: orchestrator.sweep.schema.sweep_schema",
    "probe": "needs torch: orchestrator.worker.probing is its API",
    "weights": "needs torch: orchestrator.worker.weights is its API",
    "data": "touches pixels: orchestrator.worker.data is its API",
}
OTHERWISE = {
    ("compare", "metric"): "chooses what is shown, as the column metric does",
    ("launch", "wait"): "Sweep.wait, Sweep.watch",
    ("retry", "why"): "Root.why says the rule of each job",
    ("logs", "follow"): "a text is whole; Root.watch tells when to read it again",
    ("flops", "time"): "measuring needs torch: orchestrator.worker.timing is its API",
    **dict.fromkeys([("flops", of) for of in ("device", "batch", "repeats", "precision")], "time"),
}
"""Options that have no parameter, and what does their work."""
PRESENTATION = {"json", "csv", "markdown", "latex", "watch", "all"}
"""A table is a DataFrame, which prints itself; it is looked at again by calling again."""
SPELLED = {"sweep_file": "path", "import_": "import"}
PLACES = {
    "plan": set(),
    "launch": set(),
    "flops": {"executor", "cluster", "address", "root", "data_root"},
}
"""Parameters of `Sweep.load` that its verb does without."""


def options(verb: str) -> dict[str, click.Parameter]:
    """Options and arguments of a verb, by the names that they have as parameters."""
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    found = {}
    for one in command.params:
        longest = max(one.opts, key=len).removeprefix("--").replace("-", "_")
        found[SPELLED.get(longest, longest)] = one
    return {name: one for name, one in found.items() if name not in PRESENTATION}


def parameters(verb: str) -> dict[str, Parameter]:
    """Parameters of its methods; the path of a `Root` is the root."""
    found: dict[str, Parameter] = {}
    for function in TWINS[verb]:
        mine = {name: p for name, p in signature(function).parameters.items() if name != "self"}
        found |= {"root": mine["path"]} if function is Root else mine
    return found


def test_every_verb_has_a_method_or_a_reason_why_not() -> None:
    assert TWINS.keys() | WITHOUT.keys() == VERBS.keys()
    assert TWINS.keys().isdisjoint(WITHOUT)


@pytest.mark.parametrize("verb", TWINS)
def test_a_method_has_the_options_of_its_verb(verb: str) -> None:
    otherwise = {option for of, option in OTHERWISE if of == verb}

    assert options(verb).keys() - otherwise == parameters(verb).keys() - PLACES.get(verb, set())
    assert otherwise <= options(verb).keys()


@pytest.mark.parametrize("verb", TWINS)
def test_what_is_left_out_means_the_same_in_both(verb: str) -> None:
    taken = parameters(verb)
    for name, option in options(verb).items():
        if name in taken and taken[name].default is not Parameter.empty:
            said, meant = option.to_info_dict()["default"], taken[name].default
            assert meant == said or not (meant or said), name  # of nothing there are many


@pytest.mark.parametrize(
    "name", sorted(n for n in vars(Root).keys() & vars(Sweep).keys() if not n.startswith("_"))
)
def test_a_sweep_has_the_methods_of_its_root_without_its_name(name: str) -> None:
    _, first, *others = signature(getattr(Root, name)).parameters.values()
    _, *own = signature(getattr(Sweep, name)).parameters.values()

    assert first.name in ("sweep", "sweeps", "jobs")
    assert own == others


@pytest.mark.parametrize("kind", [Root, Sweep])
def test_every_method_says_what_it_does(kind: type) -> None:
    public = {name: one for name, one in vars(kind).items() if not name.startswith("_")}

    assert [name for name, one in public.items() if not one.__doc__] == []
