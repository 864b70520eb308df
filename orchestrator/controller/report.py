"""The verb report: what a root has of a study, gathered for its page, and the page written."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.config import AnalyzeConfig, RunConfig
from orchestrator.controller.failures import cases_of, grouped
from orchestrator.controller.made_of import codes_of, datasets_of
from orchestrator.controller.report_jobs import (
    Gathered,
    configs_of,
    control_of,
    evaluations_of,
    gathered,
    parents_of,
    run_of,
)
from orchestrator.controller.select import Named, select
from orchestrator.controller.subjects import jobs_meant, sweeps_of
from orchestrator.controller.usage import attempts_of
from orchestrator.documents.site import ReportDocument
from orchestrator.errors import SpecError
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.files import publish
from orchestrator.jobs.gather import read_submissions
from orchestrator.jobs.layout import Root
from orchestrator.jobs.store import launched_revision
from orchestrator.results.contrasts import Judged
from orchestrator.results.groups import label
from orchestrator.results.judged import judged
from orchestrator.results.provenance import flags, of_ours
from orchestrator.results.report.arms import arms_of, baseline_of, common_rate
from orchestrator.results.report.asked import asked_of
from orchestrator.results.report.drawing import save
from orchestrator.results.report.gaps import gap_on
from orchestrator.results.report.page import page, pictures_of
from orchestrator.results.report.probed import read_inside
from orchestrator.results.report.study import (
    ACCURACY,
    OUTLIERS,
    Arm,
    Asked,
    Evaluation,
    Failure,
    Inside,
    Run,
    Spent,
    Study,
)
from orchestrator.results.result import Result, read_results
from orchestrator.results.usage import AttemptUse

CHILDREN = {"evaluate": "evaluations", "analyze": "analyses"}
"""What jobs that train nothing are called together, by task, where costs are told."""
UNREADABLE = "others"
"""And those whose configuration cannot be read."""


def report(root: Root, name: str, target: Path, figures: Path | None) -> list[Path]:
    """Write the page of a study or a sweep, and its figures as files; the paths of all.

    Raises:
        SpecError: nothing is called so, or there is no folder for the page.
    """
    if not target.absolute().parent.is_dir():
        raise SpecError(
            f"There is no folder {target.absolute().parent} for {target.name}. Make it first."
        )
    study = study_of(root, name)
    pictures = pictures_of(study)
    written = []
    if figures is not None:
        figures.mkdir(parents=True, exist_ok=True)
        written = [
            path for each in pictures.values() for one in each for path in save(one, figures)
        ]
    publish(target.absolute(), page(study, pictures).encode())
    return [target, *written]


def as_json(written: Sequence[Path]) -> ReportDocument:
    """The documented form of ``report --json``, of the paths that `report` gave."""
    page_file, *figures = (path.absolute() for path in written)
    return {
        "schema": 1,
        "page": str(page_file),
        "bytes": page_file.stat().st_size,
        "figures": [str(path) for path in figures],
    }


def study_of(root: Root, name: str) -> Study:
    """All that the page of a study, or of a sweep alone, shows.

    Raises:
        SpecError: nothing is called so.
    """
    sweeps = sweeps_of(root, name)
    named: dict[str, Named] = {}
    for job in (one for sweep in sweeps for one in select(root, sweep)):
        named.setdefault(job.id, job)
    jobs = [*named.values()]
    told = gathered(root, [*jobs, *parents_of(root, jobs)])
    ids = [job.id for job in jobs]
    own = [told.attempts[job] for job in ids]
    configs, notes = configs_of(told)
    runs = [run_of(told, job, one) for job, one in configs if isinstance(one, RunConfig)]
    evaluations, faults_of_parents = evaluations_of(told, configs)
    rate = common_rate(runs)
    arms = arms_of(runs, rate)
    inside, faults = _inside(told, arms)
    uses = attempts_of(root, ids)
    cases = cases_of(root, jobs, told.found)
    points = [point.time for job in ids for point in told.histories[job].points]
    return Study(
        name=name,
        asked=_asked(told, sweeps),
        states=_states(told, ids),
        rate=rate,
        arms=arms,
        baseline=baseline_of(arms),
        evaluations=evaluations,
        controls=[
            control_of(told, job, one)
            for job, one in configs
            if isinstance(one, AnalyzeConfig) and one.parent is None
        ],
        inside=inside,
        judged=_judged(root, arms, evaluations),
        failures=[
            Failure(
                kind=one.kind,
                message=one.message,
                jobs=one.count,
                only=", ".join(f"{axis}={label(value)}" for axis, value in one.only.items()),
            )
            for one in grouped(cases)
        ],
        started=sum(bool(attempts) for attempts in own),
        starts=sum(map(len, own)),
        spent=_spent(
            uses, arms, {job.id: CHILDREN[one.task] for job, one in configs if one.task in CHILDREN}
        ),
        devices="GPU" if any(use.asked.gpus for use in uses) else "CPU",
        codes=codes_of(root, told.attempts.values()),
        datasets=datasets_of(root, told.jobs),
        hosts=len({one.start.host for starts in told.attempts.values() for one in starts}),
        mixed=_mixed(root, sweeps, arms),
        measured=max(points, default=None),
        command=("orchestrate", "report", name),
        notes=[*notes, *faults_of_parents, *faults, *told.found.troubles],
    )


def _inside(told: Gathered, arms: Sequence[Arm]) -> tuple[dict[str, Inside], list[str]]:
    """Of the runs that finished; where none did, of those that were probed."""
    read = {}
    for arm in arms:
        runs = [run.id for run in arm.runs if run.finished] or [run.id for run in arm.runs]
        read[arm.key] = read_inside(told.root, runs, told.attempts)
    faults = [fault for _, some in read.values() for fault in some]
    return {key: inside for key, (inside, _) in read.items()}, faults


def _mixed(root: Root, sweeps: Sequence[str], arms: Sequence[Arm]) -> list[str]:
    """What the results of an arm, of all that are compared, and on a set have not in common.

    That all of it is of other code than today's is no word on a study.
    """
    found = read_results(root, jobs_meant(root, sweeps, None), (ACCURACY, OUTLIERS))
    results = [one for one in found if one.counts]
    made = {one.id: replace(one.made, older=False) for one in results}
    groups = {arm.name: [made[run.id] for run in arm.runs if run.id in made] for arm in arms}
    base = baseline_of(arms)
    alike = [arm for arm in arms if base is None or arm.scale == arms[base].scale]
    groups["All arms together"] = [of_ours(one) for arm in alike for one in groups[arm.name]]
    for one in results:
        if one.config.get("task") == "evaluate":
            groups.setdefault(f"On {one.config['data']['name']}", []).append(of_ours(made[one.id]))
    return [f"{name}: {', '.join(told)}" for name, some in groups.items() if (told := flags(some))]


def _judged(
    root: Root, arms: Sequence[Arm], evaluations: Sequence[Evaluation]
) -> dict[tuple[str, str], Judged]:
    """What the runs that are compared said of images: of training's own, and of those of gaps."""
    trained = [[_result(run) for run in arm.runs] for arm in arms]
    by_parent: dict[str, list[Result]] = {}
    for one in evaluations:
        result = Result(one.id, {}, Ending.FINISHED, one.metrics, config={"of": one.of})
        by_parent.setdefault(one.of, []).append(result)
    evaluated = [
        [child for run in runs if run.counts for child in by_parent.get(run.id, ())]
        for runs in trained
    ]
    groups = {ACCURACY: trained}
    groups |= {gap_on(name): evaluated for name in dict.fromkeys(e.dataset for e in evaluations)}
    return {
        (arm.key, metric): found
        for metric, some in groups.items()
        for arm, found in zip(arms, judged(root, some, metric), strict=True)
        if found is not None
    }


def _result(run: Run) -> Result:
    value = run.last(ACCURACY)
    metrics = {} if value is None else {ACCURACY: value}
    return Result(run.id, {}, Ending(run.outcome) if run.outcome else None, metrics)


def _asked(told: Gathered, sweeps: Sequence[str]) -> list[Asked]:
    submitted: dict[str, float] = {}
    for one in read_submissions(told.root):
        for job in one.jobs:
            submitted.setdefault(job, one.created)
    found = []
    for sweep in sweeps:
        revision = launched_revision(told.root, sweep)
        ids = [job["id"] for job in revision["jobs"]]
        times = [submitted[job] for job in ids if job in submitted]
        found.append(asked_of(revision, _states(told, ids), min(times, default=None)))
    return found


def _states(told: Gathered, jobs: Sequence[str]) -> Counter[str]:
    """The number of these jobs in each state; of those that are done, by how they ended."""
    statuses = (told.found.statuses[job] for job in jobs)
    return Counter(status.outcome or status.state.value for status in statuses)


def _spent(
    uses: Sequence[AttemptUse], arms: Sequence[Arm], children: Mapping[str, str]
) -> list[Spent]:
    """What the runs of each arm took, at all their rates, and what ``children`` did, by kind."""
    own = {run.id: arm.name for arm in arms for runs in arm.by_rate.values() for run in runs}
    of = {**children, **own}
    members: dict[str, list[AttemptUse]] = {arm.name: [] for arm in arms}
    for use in uses:
        members.setdefault(of.get(use.job, UNREADABLE), []).append(use)
    gpus = any(use.asked.gpus for use in uses)
    return [
        Spent(
            name=name,
            jobs=len({use.job for use in some}),
            starts=len(some),
            hours=sum(use.seconds for use in some) / 3600,
            hours_lost=sum(use.lost_s for use in some) / 3600,
            device_hours=sum(
                use.seconds * (use.asked.gpus if gpus else use.asked.cpus) for use in some
            )
            / 3600,
        )
        for name, some in members.items()
        if some
    ]
