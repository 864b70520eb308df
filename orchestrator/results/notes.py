"""What is to be said beside a table of results, a sentence each."""

from orchestrator.jobs.directions import COUNTED, direction
from orchestrator.results.answer import Answer, name_of
from orchestrator.results.choice import Choice
from orchestrator.results.digits import decimals
from orchestrator.results.groups import Group
from orchestrator.results.moments import Kind


def notes_of(found: Answer) -> list[str]:
    """What is to be said of all rows of the table, a sentence each."""
    question, moment = found.question, found.moment
    notes = [f"{question.metric} is {moment.words}."] if moment.words else []
    if found.spent_least:
        notes.append(f"That is the smallest total, of {found.spent_least}.")
    if moment.kind is Kind.HOURS and len(found.ranks) > 1:
        notes.append(f"Hours are of jobs with different numbers of ranks: {found.ranks}.")
    if found.apart:
        notes.append(
            f"Rows do not compare in all: together they are of {' and '.join(found.apart)}."
        )
    if question.choose:
        notes += _told_of_choice(found, question.choose)
    if found.baseline is not None:
        notes += _told_of_baseline(found)
    if one := found.detectable:
        digits = decimals(one.deviation) or 0
        notes.append(
            f"One test, before Holm, finds {one.difference:.{digits}f} in 80 % of studies "
            f"({one.one} and {one.other} seeds, std {one.deviation:.{digits}f})."
        )
    return notes


def of_group(group: Group) -> list[str]:
    """What is to be said of one row alone."""
    mixes = [f"mixes points that differ in {', '.join(group.mixes)}"] if group.mixes else []
    return [*mixes, *group.flags]


def _told_of_choice(found: Answer, axis: str) -> list[str]:
    seed = f"seed {found.question.on_seed}"
    notes = [f"{axis} was chosen on {seed}, of which nothing is reported."]
    reported = {name_of({**group.axes, axis: None}) for group in found.groups}
    for one in found.chosen:
        row = name_of(one.place)
        if not one.told:
            why = "diverged" if one.diverged == one.values else "has no value"
            notes.append(f"{row}: nothing could be chosen, as {seed} {why}.")
            continue
        if one.told < one.values:
            how_many = f"{one.told} of {one.values} values"
            notes.append(f"{row}: chosen among {how_many}, as {seed} {_of_others(one)}.")
        if name_of({**one.place, axis: None}) not in reported:
            notes.append(f"{row}: there is no other seed to report.")
    return notes


def _of_others(one: Choice) -> str:
    """Why the seed does not tell of all values."""
    if not one.diverged:
        return "lacks the others"
    lacking = one.values - one.told - one.diverged
    return (
        f"diverged with {one.diverged} and lacks {lacking}"
        if lacking
        else "diverged with the others"
    )


def _told_of_baseline(found: Answer) -> list[str]:
    assert found.baseline is not None
    margin, metric = found.margin, found.question.metric
    counted, better = metric.startswith(COUNTED), direction(metric)
    notes = [
        f"Differences are from {name_of(found.groups[found.baseline].axes)}.",
        f"{metric} is counted: where a row's seeds agree no test is needed."
        if counted
        else "Intervals of differences are Welch's over seeds; p are Holm's over all rows.",
    ]
    if better is not None:
        notes.append(f"Of {metric}, {'higher' if better > 0 else 'lower'} is better.")
    if margin is not None:
        notes.append(f"Equivalent: the 90 % interval is within {margin:g}, not adjusted for rows.")
    elif not counted:
        notes.append(f"Equivalence is not tested: say --margin in the unit of {metric}.")
    for group, one in zip(found.groups, found.contrasts, strict=True):
        if one and one.images_apart:
            notes.append(
                f"{name_of(group.axes)}: {one.images_apart} images were asked of one side alone, "
                f"{one.images} of both."
            )
    return notes
