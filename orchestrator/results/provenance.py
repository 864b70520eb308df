"""By which code, on which data a result was made, and what groups of results mix of that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from model.variants import package_of
from orchestrator.errors import RootError
from orchestrator.jobs.code import is_older, todays_codes, without_package
from orchestrator.jobs.facts import JobFacts, contributors, read_attempts
from orchestrator.jobs.layout import Root
from orchestrator.jobs.packages import packages_of_sweep
from orchestrator.jobs.parents import Parent
from orchestrator.jobs.probes import probes_by_step, read_batch
from orchestrator.jobs.summary import codes_of_result, weights_read
from orchestrator.jobs.weights import are_older, weights_left

ARTIFACTS = "artifacts/"
"""Begins what the rule of one probe says, which analyses alone tell."""
OF_PROBES = (
    ARTIFACTS,
    *("norms/", "attention/", "activations/", "gates/", "redundancy/", "mlp/"),
    *("layer_scale/", "gradients/", "updates/"),
)
"""Beginnings of the names of metrics that are measured on a fixed list of images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """How a result was made.

    Attributes:
        codes: hashes of the code of the attempts that made it.
        data: hashes of the content of the dataset that they read.
        probed: SHA-256 of the list of images of its last probe; empty where nobody asked.
        ranks: numbers of processes that trained it together.
        older: whether that is other code than today's.
        older_weights: whether its parent was trained anew since.
    """

    codes: frozenset[str] = field(default=frozenset())
    data: frozenset[str] = field(default=frozenset())
    probed: frozenset[str] = field(default=frozenset())
    ranks: frozenset[int] = field(default=frozenset())
    older: bool = False
    older_weights: bool = False


UNKNOWN = Made()
KINDS: Mapping[str, str] = {
    "codes": "versions of code",
    "data": "versions of the data",
    "probed": "lists of probed images",
}
"""What results that are compared should have in common, in words for several."""


def flags(made: Sequence[Made]) -> tuple[str, ...]:
    """What is to be said of results that are told in one row."""
    found = versions(made)
    for words, name in {"older code": "older", "older weights": "older_weights"}.items():
        if older := sum(getattr(one, name) for one in made):
            found.append(f"{words} ({older} of {len(made)})")
    return tuple(found)


def versions(made: Sequence[Made]) -> list[str]:
    """What results have not in common, with how many there are."""
    different = {
        words: len(frozenset().union(*(getattr(one, name) for one in made)))
        for name, words in KINDS.items()
    }
    return [f"{number} {words}" for words, number in different.items() if number > 1]


def of_ours(made: Made) -> Made:
    """As it compares with other variants', for a user's own one has code that these are without."""
    return replace(made, codes=frozenset(map(without_package, made.codes)))


class Maker:
    """Finds out how results were made; what today's code is, is looked up once for each sweep."""

    def __init__(self, root: Root, discarded: Mapping[str, int], *, probed: bool) -> None:
        """Ask ``made`` of each job.

        Args:
            root: where the jobs ran.
            discarded: by job that was ordered to begin afresh, its last attempt before.
            probed: whether to look up on which images probes were made, which takes a file.
        """
        self.root, self._discarded, self._probed = root, discarded, probed
        self._today: dict[str, dict[str, str]] = {}

    def made(self, facts: JobFacts, attention: str, listed: Mapping[str, Any]) -> Made:
        """How a job's result was made.

        ``attention`` is its model's variant; ``listed`` the job as its sweep's revision has it.
        """
        counted = contributors(facts.attempts)
        starts = [one.start.facts for one in counted]
        codes = codes_of_result(facts)
        package = package_of(attention)
        today = self._codes(listed.get("sweep", "") if package else "")
        return Made(
            codes=frozenset(codes),
            data=frozenset(f["content_hash"] for f in starts if f.get("content_hash")),
            probed=self._batches(facts),
            ranks=frozenset(f["world"] for f in starts if f.get("world")),
            older=is_older(codes, package, today),
            older_weights=self._weights_are_older(weights_read(facts), Parent.listed(listed)),
        )

    def _weights_are_older(self, read: str, parent: Parent | None) -> bool:
        if parent is None or not read:
            return False
        folder, discarded = self.root.job(parent.id), self._discarded.get(parent.id, 0)
        left = weights_left(folder, read_attempts(folder, discarded))
        return are_older(read, parent.checkpoint, left, discarded)

    def _codes(self, sweep: str) -> dict[str, str]:
        if sweep not in self._today:
            own = packages_of_sweep(self.root, sweep) if sweep else {}
            self._today[sweep] = todays_codes(own)
        return self._today[sweep]

    def _batches(self, facts: JobFacts) -> frozenset[str]:
        if not self._probed:
            return frozenset()
        files = probes_by_step(self.root.job(facts.id).probes, facts.attempts)
        try:
            return frozenset(read_batch(path) for path in [*files.values()][-1:]) - {""}
        except (RootError, FileNotFoundError):
            return frozenset()
