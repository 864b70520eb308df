"""Loading a sweep: a file and the options of the command line in, points out."""

import os
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from orchestrator.config import CHILDREN
from orchestrator.errors import SpecError
from orchestrator.sweep.chain import Chain, read_base, read_chain, read_documents
from orchestrator.sweep.children import expand_children, refuse_foreign
from orchestrator.sweep.conditions import read_condition, read_derivations, refuse_shadowed
from orchestrator.sweep.expand import Blueprint, Notify, Source, Sweep, expand
from orchestrator.sweep.faults import Faults, explain, spelled
from orchestrator.sweep.grid import read_blocks
from orchestrator.sweep.packages import read_packages
from orchestrator.sweep.parents import read_parents
from orchestrator.sweep.ranges import with_ranges
from orchestrator.sweep.search import read_search
from orchestrator.sweep.settings import Layer, layer_of
from orchestrator.sweep.spec import Seeds
from orchestrator.sweep.strict_yaml import Document, Place, parse_document

_SEEDS: TypeAdapter[list[int]] = TypeAdapter(Seeds)


def load_sweep(  # noqa: PLR0913 - what the command line gives
    path: Path | str,
    *,
    overrides: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    executor: str | None = None,
    executors: Collection[str],
    root: Path | None = None,
) -> Sweep:
    """Read, check and expand the sweep file at ``path``; nothing is written.

    Later wins: the ``set`` of what it extends, its own ``set``, a block's values, the seed,
    ``overrides`` in their order; what is derived comes last.

    Args:
        path: the sweep file.
        overrides: ``key=value``, the value read as YAML.
        seeds: in place of every ``seeds`` of the file.
        executor: in place of the file's.
        executors: names of the executors there are.
        root: the run root, where sweeps that are named by ``of`` were launched.

    Raises:
        SpecError: one line for every fault: file, line, key, what is wrong, what is allowed.
    """
    faults = Faults()
    documents = [with_ranges(document, faults) for document in read_documents(Path(path))]
    base = read_base(documents, faults)
    layers = tuple(_override(text, faults) for text in overrides)
    _check_seeds(seeds, faults)
    chain = read_chain(documents, faults)
    blocks = read_blocks(chain, seeds, faults)
    _check_name(chain, faults)
    _check_executor(chain, executor, executors, faults)
    derivations = read_derivations(chain, faults)
    refuse_shadowed(derivations, [axis for block in blocks for axis in block.axes], layers, faults)
    packages = read_packages(chain, faults)
    refuse_foreign(chain, (base, *layers), blocks, faults)
    notify = _read_notify(chain, faults)
    owner, document = chain.owner("where")
    where = read_condition(owner.where, document, ("where",), faults)
    faults.refuse()
    spec = chain.files[0][0]
    file = Place(documents[0].name)
    blueprint = Blueprint(base, blocks, layers, file, derivations, where, packages)
    task, folders = chain.owner("task")[0].task, packages.folders
    if task in CHILDREN:
        parents = read_parents(
            chain, partial(load_sweep, executors=executors, root=root), root, seeds
        )
        points, folders = expand_children(blueprint, task, parents), {**parents.packages, **folders}
    else:
        points = expand(blueprint)
    search = read_search(chain, points, faults)
    faults.refuse()
    return Sweep(
        name=spec.name,
        study=chain.owner("study")[0].study or spec.name,
        question=chain.owner("question")[0].question,
        executor=executor or chain.owner("executor")[0].executor,
        max_parallel=chain.owner("max_parallel")[0].max_parallel,
        max_failures=chain.owner("max_failures")[0].max_failures,
        max_gpu_hours=chain.owner("max_gpu_hours")[0].max_gpu_hours,
        notify=notify,
        search=search,
        points=points,
        packages=folders,
        sources=tuple(Source(document.name, document.text) for document in documents),
        overrides=tuple(overrides),
    )


def _override(text: str, faults: Faults) -> Layer:
    option = f"--set {text}"
    key, equals, value = text.partition("=")
    if not equals or not value.strip():
        faults.add(Place(option), "is not of the form key=value, such as optim.lr=1e-3")
        return {}
    try:
        plain = parse_document(value, option).plain
    except SpecError as error:
        faults.add(Place(option), str(error).removeprefix(f"{option}:1: "))
        return {}
    return layer_of({key.strip(): plain}, Document(option, text, plain), (), faults)


def _check_seeds(seeds: Sequence[int] | None, faults: Faults) -> None:
    if seeds is None:
        return
    try:
        _SEEDS.validate_python(list(seeds), strict=True)
    except ValidationError as error:
        option = Place(f"--seeds {','.join(map(str, seeds))}".rstrip())
        for detail in error.errors():
            faults.add(option, explain(detail, spelled(("seeds", *detail["loc"]))))


def _read_notify(chain: Chain, faults: Faults) -> Notify | None:
    """The command of the first file that has one, which it is run beside."""
    spec, document = chain.owner("notify")
    if spec.notify is None:
        return None
    notify = Notify(tuple(spec.notify), Path(document.name).absolute().parent)
    program = notify.program
    if program and not Path(spec.notify[0]).is_absolute() and not os.access(program, os.X_OK):
        problem = "may not be run: chmod +x" if program.exists() else "is not there"
        words = f"notify: {spec.notify[0]}, seen from this file's folder, {problem}"
        faults.add(chain.place("notify"), words)
    return notify


def _check_name(chain: Chain, faults: Faults) -> None:
    spec, document = chain.files[0]
    if not spec.name:
        faults.add(Place(document.name), "name is missing; a sweep starts with name: ...")


def _check_executor(
    chain: Chain, asked: str | None, executors: Collection[str], faults: Faults
) -> None:
    name = asked or chain.owner("executor")[0].executor
    if name not in executors:
        known = ", ".join(sorted(executors))
        place = Place(f"--executor {asked}") if asked else chain.place("executor")
        faults.add(place, f"executor is {name!r}; known executors: {known}")
