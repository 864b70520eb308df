"""Runs put together to arms: which there are, in which order, at which rate, against which."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.results.report.marks import PLAIN, Mark, family_of, marks_of
from orchestrator.results.report.study import Arm, Run

LEFT_OUT = ("seed", "optim.lr")
"""Settings in which the runs of one arm may differ."""

SCALE = (
    *("data.name", "train.epochs", "model.img_size", "model.num_classes"),
    *("model.patch_size", "model.dim", "model.depth", "model.heads"),
)
"""Settings in which arms agree that are compared: data, length and size. All else is a method's."""


def name_of(axes: Mapping[str, Any], text: Callable[[Any], str]) -> str:
    """What an arm is called: its place on a sweep's axes, without seed and learning rate.

    ``text`` makes a word of a value, as names of points have it.
    """
    told = {axis: value for axis, value in axes.items() if axis not in LEFT_OUT}
    parts = [
        text(value) if axis == "case" else f"{axis.rpartition('.')[2]}={text(value)}"
        for axis, value in told.items()
    ]
    return ",".join(parts) or "base"


def common_rate(runs: Sequence[Run]) -> float | None:
    """The learning rate at which most arms were trained; of several, that of most runs."""
    arms = Counter(rate for _, rate in {(run.key, run.lr) for run in runs})
    each = Counter(run.lr for run in runs)
    return max(arms, key=lambda rate: (arms[rate], each[rate], -rate), default=None)


def arms_of(runs: Sequence[Run], rate: float | None) -> list[Arm]:
    """The arms in order of appearance, those with registers by their number.

    An arm that has no run at ``rate`` is compared at the only rate that it has, or at none.
    """
    by_key: dict[str, list[Run]] = {}
    for run in runs:
        by_key.setdefault(run.key, []).append(run)
    ordered = _ordered([*by_key.values()])
    families = [family_of(members[0].model) for members in ordered]
    names = _distinct([members[0].arm for members in ordered])
    return [
        _arm(name, mark, members, rate)
        for name, mark, members in zip(names, marks_of(families), ordered, strict=True)
    ]


def baseline_of(arms: Sequence[Arm]) -> int | None:
    """The place of the plain arm with most runs, the first of equals; None: there is none."""
    plain = [place for place, arm in enumerate(arms) if arm.mark.family == PLAIN.name and arm.runs]
    return max(plain, key=lambda place: len(arms[place].runs), default=None)


def _ordered(groups: Sequence[list[Run]]) -> list[list[Run]]:
    """Families stay together in order of appearance; within registers, few before many."""
    families = [family_of(members[0].model).name for members in groups]
    first = {family: families.index(family) for family in families}
    places = sorted(
        range(len(groups)),
        key=lambda n: (first[families[n]], groups[n][0].model.get("registers") or 0, n),
    )
    return [groups[place] for place in places]


def _distinct(names: Sequence[str]) -> list[str]:
    """Names that several arms have get a number."""
    times, seen = Counter(names), Counter[str]()
    found = []
    for name in names:
        seen[name] += 1
        found.append(f"{name} ({seen[name]})" if times[name] > 1 else name)
    return found


def _arm(name: str, mark: Mark, members: Sequence[Run], rate: float | None) -> Arm:
    by_rate: dict[float, list[Run]] = {}
    for run in sorted(members, key=lambda run: (run.lr, run.seed)):
        by_rate.setdefault(run.lr, []).append(run)
    chosen = by_rate.get(rate) if rate is not None else None
    if chosen is None and len(by_rate) == 1:
        (chosen,) = by_rate.values()
    return Arm(
        name=name,
        key=members[0].key,
        mark=mark,
        model=members[0].model,
        runs=chosen or (),
        by_rate=by_rate,
    )
