"""What a sweep of children looks at: the jobs of sweeps that it names, or models of timm's."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import CHILDREN, RunConfig
from orchestrator.config.child import TIMM
from orchestrator.errors import OrchestrateError, SpecError
from orchestrator.jobs.identity import flatten
from orchestrator.jobs.packages import packages_of
from orchestrator.jobs.records import read_job
from orchestrator.jobs.store import launched_revision, open_root
from orchestrator.sweep.axes import CASE
from orchestrator.sweep.chain import Chain, read_documents
from orchestrator.sweep.conditions import Condition, look_up_in, read_condition
from orchestrator.sweep.expand import Sweep
from orchestrator.sweep.faults import Faults
from orchestrator.sweep.settings import Layer, Setting
from orchestrator.sweep.spec import PretrainedSpec
from orchestrator.sweep.strict_yaml import Place, Plain

FILES = (".yaml", ".yml")
"""Endings by which a file is told from the name of a sweep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model to be looked at: a job's, as its sweep has it, or one of timm's.

    Attributes:
        sweep: the job's; empty of timm's.
        of: what configurations of children call it.
        config: by which it is trained; None of timm's.
        expect: what is known of it.
    """

    sweep: str
    name: str
    of: str
    axes: Mapping[str, Plain]
    config: RunConfig | None
    expect: str = ""

    def layer(self, place: Place) -> Layer:
        """Its settings, as if they were written at ``place``; none of timm's."""
        plain = self.config.to_plain() if self.config else {}
        return {key: Setting(value, place) for key, value in flatten(plain)}

    @property
    def labels(self) -> Mapping[str, Plain]:
        """What it is called where an expression asks for its case."""
        return {key: name for key, name in self.axes.items() if key == CASE}


@dataclass(frozen=True, slots=True)
class Parents:
    """The models to be looked at, each once, and the packages that they are of."""

    jobs: tuple[Candidate, ...]
    packages: Mapping[str, Path]
    place: Place
    """Where they are named."""


def read_parents(
    chain: Chain, load: Callable[[Path], Sweep], root: Path | None, seeds: Sequence[int] | None
) -> Parents:
    """The jobs of the sweeps under ``of``, or the models of timm's there.

    Args:
        chain: the files of the sweep of children.
        load: reads a sweep's file.
        root: the run root in which sweeps are looked for by name.
        seeds: of the parents that are wanted; None wants all.

    Raises:
        SpecError: a sweep cannot be had, or is of jobs that do not train; or none is left; or seeds
            are asked of models of timm's.
    """
    place = chain.place("of")
    spec, document = chain.owner("of")
    assert spec.of is not None
    if spec.of.timm:
        if seeds is not None:
            raise SpecError(f"{place}: models of timm's have no seeds; leave --seeds out")
        return Parents(tuple(_of_timm(spec.of.timm)), {}, place)
    found: dict[str, Candidate] = {}
    packages: dict[str, Path] = {}
    for number, text in enumerate(spec.of.sweeps):
        at = document.place(("of", "sweeps", number))
        try:
            if text.endswith(FILES):
                jobs, own = _of_file(Path(document.name).parent / text, load)
            else:
                jobs, own = _of_name(root, text)
        except OrchestrateError as error:
            raise SpecError(f"{error} (named under of at {at})") from error
        for job in jobs:
            found.setdefault(job.of, job)
        packages |= own
    of_seed = [(job, job.config.seed) for job in found.values() if job.config]
    chosen = [job for job, seed in of_seed if seeds is None or seed in seeds]
    if not chosen:
        there = ", ".join(map(str, sorted({seed for _, seed in of_seed})))
        raise SpecError(f"{place}: none of the parents has such a seed (there: {there})")
    faults = Faults()
    where = read_condition(spec.of.where, document, ("of", "where"), faults)
    faults.refuse()
    kept = [job for job in chosen if holds(where, job.layer(place), job)]
    if not kept:
        raise SpecError(f"{place}: where holds for none of the {len(chosen)} parents")
    return Parents(tuple(kept), packages, place)


def holds(where: Condition | None, layer: Layer, parent: Candidate) -> bool:
    """Whether a condition holds of a parent, or of a child, whose own settings are laid over it."""
    return where is None or where.holds(look_up_in(layer, parent.labels))


def _of_timm(named: Mapping[str, PretrainedSpec]) -> Iterator[Candidate]:
    for case, one in named.items():
        yield Candidate(
            sweep="",
            name=case,
            of=f"{TIMM}{one.model}",
            axes={CASE: case},
            config=None,
            expect=one.expect or "",
        )


def _of_file(
    path: Path, load: Callable[[Path], Sweep]
) -> tuple[list[Candidate], Mapping[str, Path]]:
    if (task := _task_of(path)) in CHILDREN:  # before it is loaded: it may name this very sweep
        raise _trains_nothing(path.name, task)
    sweep = load(path)
    jobs = [
        Candidate(sweep=sweep.name, name=p.name, of=p.id, axes=p.axes, config=p.trained)
        for p in sweep.points
    ]
    return jobs, sweep.packages


def _task_of(path: Path) -> str:
    written = [one.plain for one in read_documents(path) if isinstance(one.plain, dict)]
    return str(next((plain["task"] for plain in written if "task" in plain), "train"))


def _of_name(path: Path | None, name: str) -> tuple[list[Candidate], Mapping[str, Path]]:
    if path is None:
        raise SpecError(f"sweep '{name}' is named, but no run root to look for it; name its file")
    root = open_root(path)
    revision = launched_revision(root, name)
    jobs = []
    for job in revision["jobs"]:
        config = read_job(root, job["id"], job.get("form"))
        if not isinstance(config, RunConfig):
            raise _trains_nothing(name, config.task)
        jobs.append(
            Candidate(sweep=name, name=job["name"], of=job["id"], axes=job["axes"], config=config)
        )
    return jobs, packages_of(revision)


def _trains_nothing(sweep: str, task: str) -> SpecError:
    return SpecError(f"sweep '{sweep}' has task: {task}; name one whose jobs train")
