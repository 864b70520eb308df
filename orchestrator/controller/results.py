"""The verb results: a question is put to the jobs of sweeps, or of a study."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from orchestrator.controller.subjects import condition_on, jobs_meant
from orchestrator.errors import SpecError
from orchestrator.extras import naming_extras
from orchestrator.jobs.directions import COUNTED, direction, in_points
from orchestrator.jobs.layout import Root
from orchestrator.results.answer import Answer, Question, name_of
from orchestrator.results.choice import Choice, choose
from orchestrator.results.contrasts import (
    MARGIN,
    Judged,
    contrasts,
    detectable_difference,
)
from orchestrator.results.groups import Group, grouped, label
from orchestrator.results.judged import judged
from orchestrator.results.moments import (
    SPENDING,
    Kind,
    Moment,
    equal_spending,
    moment_of,
    placed,
)
from orchestrator.results.provenance import Made, of_ours, versions
from orchestrator.results.result import (
    SEED,
    Result,
    axes_of,
    check_question,
    faults_of,
    read_results,
    that_measure,
)

MOST_LISTED = 20
"""Rows that an error lists."""
Judge = Callable[[Sequence[Sequence[Result]], str], Sequence[Judged | None]]
"""What the runs of groups said of images, by the metric that tells how many they have right."""


def answer(root: Root, names: Sequence[str], where: str | None, question: Question) -> Answer:
    """Answer a question about the jobs of some sweeps, or of a study.

    Raises:
        SpecError: something in it means nothing, or ``baseline`` is not exactly one row.
        PackageError: a comparison needs scipy, which is not installed.
    """
    moment = moment_of(question.at)  # first, as the next: files take longer
    check(question)
    metrics = (question.metric, *question.also)
    found = read_results(root, jobs_meant(root, names, where), metrics)
    return answer_of(found, question, moment, partial(judged, root))


def answer_of(
    found: Sequence[Result], question: Question, moment: Moment, judge: Judge = lambda *_: ()
) -> Answer:
    """The answer from results; ``judge`` is asked where a baseline is to be compared at the end.

    Raises:
        SpecError, PackageError: as ``answer``.
    """
    choosing = [question.choose] if question.choose else []
    metrics = (question.metric, *question.also)
    check_question(found, metrics, [*question.by, *choosing])
    found = that_measure(found, question.metric)
    others = [axis for axis in question.by or axes_of(found) if axis not in choosing]
    axes = [*others, *choosing]
    moment, least = _with_amount(found, axes, moment)
    reported, chosen = placed(found, moment, question.metric), list[Choice]()
    if question.choose:
        reported, chosen = choose(
            reported, question.choose, others, question.metric, question.on_seed
        )
        if not reported:
            raise SpecError(
                f"--choose leaves no row: nowhere has seed {question.on_seed} a value of "
                f"'{question.metric}' to choose {question.choose} by, and another seed one to "
                "report. See --on-seed."
            )
    groups = grouped(reported, question.metric, axes, question.also)
    made = Answer(
        question=question,
        axes=axes,
        groups=groups,
        moment=moment,
        spent_least=least,
        chosen=chosen,
        detectable=detectable_difference(_samples(groups)),
        faults=faults_of(found),
        ranks=sorted({number for one in found for number in one.made.ranks}),
        apart=_apart(reported, groups),
        margin=_margin(question),
    )
    if question.baseline is None:
        return made
    holds = condition_on(question.baseline, "--baseline")
    return _compared(made, _members(reported, groups), holds, judge)


def check(question: Question) -> None:
    """Make sure that no part of a question is without what it belongs to.

    Raises:
        SpecError: one is.
    """
    if question.margin is not None and question.baseline is None:
        raise SpecError("--margin is of differences from a --baseline; name one.")
    if question.on_seed and question.choose is None:
        raise SpecError("--on-seed is the seed that --choose chooses by; name an axis to choose.")
    if question.choose == SEED:
        raise SpecError("--choose takes an axis; of seeds the mean is told, and none is chosen.")


def _with_amount(
    found: Sequence[Result], axes: Sequence[str], moment: Moment
) -> tuple[Moment, str]:
    """The moment, and of which group its amount is if none was said."""
    if moment.kind not in SPENDING or moment.amount is not None:
        return moment, ""
    groups: dict[str, list[Result]] = {}
    for one in found:
        groups.setdefault(name_of({axis: one.at(axis) for axis in axes}), []).append(one)
    return equal_spending(groups, moment.kind)


def _compared(
    made: Answer,
    members: Sequence[Sequence[Result]],
    holds: Callable[[Result], bool],
    judge: Judge,
) -> Answer:
    """With every row against the one for whose jobs it holds."""
    metric, baseline = made.question.metric, _baseline(members, made.groups, holds)
    values = [group.values for group in made.groups]
    found = detectable_difference(_samples(made.groups), baseline)
    judged_images = judge(members, metric) if made.moment.kind is Kind.LAST else ()
    with naming_extras():
        told = contrasts(
            values,
            baseline,
            margin=made.margin,
            better=direction(metric),
            judged=judged_images,
            mixed=[place for place, group in enumerate(made.groups) if group.mixes],
            exact=metric.startswith(COUNTED),
        )
    return replace(made, baseline=baseline, contrasts=told, detectable=found)


def _apart(reported: Sequence[Result], groups: Sequence[Group]) -> list[str]:
    """What those on the same set have not in common, but for what is said of a row alone."""
    by_set: dict[str, list[Made]] = {}
    for one in reported:
        if one.counts:
            by_set.setdefault(label(one.at("data.name")), []).append(of_ours(one.made))
    said = {flag for group in groups for flag in group.flags}
    told = dict.fromkeys(words for made in by_set.values() for words in versions(made))
    return [words for words in told if words not in said]


def _samples(groups: Sequence[Group]) -> list[Sequence[float]]:
    """Of each group its values, where they are those of one method."""
    return [() if group.mixes else group.values for group in groups]


def _members(results: Sequence[Result], groups: Sequence[Group]) -> list[list[Result]]:
    by_id = {one.id: one for one in results}
    return [[by_id[job] for job in group.job_ids] for group in groups]


def _baseline(
    members: Sequence[Sequence[Result]], groups: Sequence[Group], holds: Callable[[Result], bool]
) -> int:
    """The one row of whose jobs it holds, of all.

    Raises:
        SpecError: there is none, or several; the rows are listed.
    """
    whole = [place for place, row in enumerate(members) if all(map(holds, row))]
    if len(whole) == 1:
        return whole[0]
    some = [n for n, row in enumerate(members) if n not in whole and any(map(holds, row))]
    names = [name_of(group.axes) for group in groups]
    listed = "\n  ".join(names[:MOST_LISTED] + ["..."] * (len(names) > MOST_LISTED))
    if not whole and some:
        what = f"holds for a part of a row only ({names[some[0]]}); add --by, or ask for less"
    else:
        what = f"holds for {len(whole) or 'none'} of the rows; it must pick exactly one"
    raise SpecError(f"--baseline {what}. Rows:\n  {listed}")


def _margin(question: Question) -> float | None:
    if question.margin is None and in_points(question.metric):
        return MARGIN
    return question.margin
