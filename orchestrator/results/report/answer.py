"""The table that answers: of each arm accuracy, cost, outliers and emergence, and in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from orchestrator.results.contrasts import (
    MARGIN,
    Contrast,
    Verdict,
    contrasts,
    detectable_difference,
)
from orchestrator.results.report.numbers import (
    counted,
    listed,
    more,
    percent,
    plain,
    points,
    signed,
)
from orchestrator.results.report.study import ACCURACY, OUTLIERS, Arm, Study
from orchestrator.results.spread import deviation, interval, mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An arm in the table; None stands for what was not measured.

    Attributes:
        accuracy: mean top-1 in percent over seeds, ``spread`` their standard deviation.
        n: runs that finished; ``of`` those that there are, of which some have ``diverged`` and some
            were ``stopped`` early.
        contrast: against the baseline; None: it is the baseline, or there is none.
        macs, seconds: over the baseline's.
        outliers: mean share of outlier tokens, in percent, at the last probe.
        emerged, judged: runs in which artifacts emerged, of those of which it can be told.
    """

    arm: Arm
    accuracy: float | None
    spread: float | None
    n: int
    of: int
    diverged: int
    stopped: int
    contrast: Contrast | None
    macs: float | None
    seconds: float | None
    outliers: float | None
    emerged: int
    judged: int

    @property
    def missing(self) -> int:
        """Runs that came to no end: that wait, run or failed."""
        return self.of - self.n - self.diverged - self.stopped


def lines_of(study: Study) -> list[Line]:
    """A line for each arm, in their order; differences are of top-1 in points, Welch's interval."""
    values = {arm.key: arm.values(ACCURACY) for arm in study.arms}
    alike = study.like(study.plain) if study.plain else []
    against: dict[str, Contrast | None] = {}
    if study.plain is not None and len(alike) > 1:
        told = contrasts(
            [values[arm.key] for arm in alike],
            alike.index(study.plain),
            margin=MARGIN,
            better=1,
            judged=[study.judged.get((arm.key, ACCURACY)) for arm in alike],
        )
        against = {arm.key: one for arm, one in zip(alike, told, strict=True)}
    return [_line(study, arm, values[arm.key], against.get(arm.key)) for arm in study.arms]


def _line(study: Study, arm: Arm, numbers: Sequence[float], contrast: Contrast | None) -> Line:
    judged = [run.judged for run in arm.runs if run.judged]
    outliers = mean(arm.values(OUTLIERS))
    return Line(
        arm=arm,
        accuracy=mean(numbers),
        spread=deviation(numbers),
        n=len(numbers),
        of=len(arm.runs),
        diverged=sum(run.diverged for run in arm.runs),
        stopped=sum(run.stopped for run in arm.runs),
        contrast=contrast,
        macs=relative_macs(study, arm),
        seconds=relative_seconds(study, arm),
        outliers=None if outliers is None else 100 * outliers,
        emerged=sum(found.by is not None for found in judged),
        judged=len(judged),
    )


def relative_macs(study: Study, arm: Arm) -> float | None:
    """Multiply-adds of a forward pass over those of the baseline."""
    return _over(_macs(arm), _macs(study.plain) if study.plain else None)


def relative_seconds(study: Study, arm: Arm) -> float | None:
    """Time of an epoch's training over that of the baseline, means over seeds."""
    return _over(mean(arm.seconds()), mean(study.plain.seconds()) if study.plain else None)


def _macs(arm: Arm) -> float | None:
    return next(iter(arm.values("flops/forward_macs")), None)


def _over(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def in_short(study: Study, lines: Sequence[Line]) -> Iterator[str]:
    """The answer in a few sentences: artifacts, accuracy, cost."""
    base = next((one for one in lines if one.arm is study.plain), None)
    if base is None:
        return
    others = [one for one in lines if one is not base and one.contrast and one.n]
    yield stop_rule(study, base) or _artifacts(base, others)
    if base.accuracy is not None and others:
        yield _accuracy(base, others)
    known = [one for one in others if one.macs is not None]
    if known:
        least, most = (pick(known, key=lambda one: one.macs or 0) for pick in (min, max))
        slower = f", and {more(most.seconds)} time" if most.seconds is not None else ""
        start = f" from {more(least.macs)} ({least.arm.name})" if least is not most else ""
        yield (
            f"Beside {base.arm.name}, multiply-adds go{start} to {more(most.macs)} "
            f"({most.arm.name}{slower})."
        )


def stop_rule(study: Study, base: Line) -> str:
    """What the study can still answer where the plain arm has no artifacts.

    "" where it has, or may still have: as long as some of its runs are to come.
    """
    if not base.judged or base.emerged or base.missing:
        return ""
    those = [asked.name for asked in study.asked if asked.removes]
    answer = (
        f"{listed(those)} answer{'s' if len(those) == 1 else ''}" if those else "the arms answer"
    )
    return (
        f"No high-norm artifacts emerged in {base.arm.name} in any of "
        f"{counted(base.judged, 'seed')}: there was nothing to remove, so {answer} cost, accuracy "
        "and stability alone."
    )


def _artifacts(base: Line, others: Sequence[Line]) -> str:
    if not base.judged:
        return (
            f"Whether high-norm artifacts emerged in {base.arm.name} cannot be told: no seed has "
            "finished with enough probes that can be judged."
        )
    so_far = f" so far ({base.missing} more to come)" if base.missing else ""
    told = (
        f"High-norm artifacts emerged in {base.arm.name} in {base.emerged} of "
        f"{counted(base.judged, 'seed')}{so_far}"
    )
    judged = [one for one in others if one.judged]
    words = [
        f"{said} {listed([one.arm.name for one in members])}"
        for said, members in (
            ("in no seed of", [one for one in judged if not one.emerged]),
            ("also in", [one for one in judged if one.emerged]),
        )
        if members
    ]
    return "; ".join([told, *words]) + "."


def _accuracy(base: Line, others: Sequence[Line]) -> str:
    told = [(one.arm.name, one.contrast) for one in others if one.contrast]
    return (
        f"{base.arm.name} reaches {percent(base.accuracy)} top-1 (mean of "
        f"{counted(base.n, 'seed')}); {in_words(told, PHRASES)}."
        + lost_in([one.arm for one in (base, *others)])
        + _detectable([base, *others])
    )


def lost_in(arms: Sequence[Arm]) -> str:
    """How many runs diverged, which are in no mean; "": none."""
    lost = {arm.name: (sum(run.diverged for run in arm.runs), len(arm.runs)) for arm in arms}
    told = [f"{some} of {of} of {name}" for name, (some, of) in lost.items() if some]
    return f" Diverged, and in no mean: {listed(told)}." if told else ""


def in_words(found: Sequence[tuple[str, Contrast]], phrases: Mapping[Verdict, str]) -> str:
    """Names of arms by what is known of their differences, each verdict led in by its phrase."""
    groups = {word: [(n, one) for n, one in found if one.verdict == word] for word in Verdict}
    return "; ".join(
        f"{phrases[word]} {_those(members, len(found))}"
        for word, members in groups.items()
        if members
    )


def _those(members: Sequence[tuple[str, Contrast]], of: int) -> str:
    if len(members) == of > MANY:
        return f"all {of} other arms"
    return listed([_differing(name, one) for name, one in members])


def _detectable(lines: Sequence[Line]) -> str:
    """What so many seeds would have told beside the first line, by their own spread."""
    found = detectable_difference([line.arm.values(ACCURACY) for line in lines], baseline=0)
    if found is None:
        return ""
    return (
        f" Where seeds spread as here, one test of {found.one} against {found.other} of them, "
        f"before Holm, finds a difference of {points(found.difference)} points in 80 % of studies."
    )


MANY = 3
"""More arms than these are counted, and not named, where nothing sets them apart."""
PHRASES = {
    Verdict.HIGHER: "higher:",
    Verdict.LOWER: "lower:",
    Verdict.EQUIVALENT: f"equivalent within {MARGIN:g} points:",
    Verdict.UNDECIDED: "not decided by so few seeds:",
    Verdict.ONE_SEED: "with too few seeds to tell:",
}
"""How the answer in short introduces the arms of each verdict."""


def _differing(name: str, contrast: Contrast) -> str:
    if contrast.verdict in (Verdict.HIGHER, Verdict.LOWER):
        return f"{name} ({signed(contrast.difference)} points)"
    return name


def spread_of(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and the ends of what is drawn around it: the 95 % interval, of a single value nothing.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("no values to draw")
    middle = fmean(values)
    low, high = interval(values) or (middle, middle)
    return middle, low, high


def interval_text(one: tuple[float, float] | None, digits: int = 1) -> str:
    """An interval of points, as the table shows it."""
    return "" if one is None else f"[{plain(one[0], digits)}, {plain(one[1], digits)}]"
