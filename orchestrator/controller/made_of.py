"""Of which code and data the results of jobs are, for whoever makes them again."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from orchestrator.controller.origin import read_origin
from orchestrator.controller.select import Named
from orchestrator.errors import OrchestrateError
from orchestrator.jobs.facts import Attempt
from orchestrator.jobs.files import read_record
from orchestrator.jobs.layout import Root
from orchestrator.jobs.records import read_job
from orchestrator.jobs.submissions import Submission


def codes_of(root: Root, attempts: Iterable[Sequence[Attempt]]) -> list[tuple[str, int]]:
    """Where the code of jobs' last starts came from, in words, and of how many jobs."""
    tokens = Counter(starts[-1].start.token for starts in attempts if starts)
    jobs: Counter[str] = Counter()
    for token, number in tokens.items():
        jobs[_origin(root, token)] += number
    return sorted(jobs.items())


def _origin(root: Root, token: str) -> str:
    with suppress(FileNotFoundError, OrchestrateError):
        snapshot = Submission.read(root.submission(token)).snapshot
        origin = read_origin(root, snapshot)
        return f"{origin or 'code of no known commit'} (snapshot {snapshot})"
    return "unknown: the submission's record cannot be read"


def datasets_of(root: Root, jobs: Iterable[Named]) -> list[tuple[str, str]]:
    """The data that jobs use: names, and hashes of their content as the root knows them."""
    names = set()
    for job in jobs:
        with suppress(OrchestrateError):
            names.add(read_job(root, job.id, job.form).data.name)
    found = []
    for name in sorted(names):
        with suppress(FileNotFoundError, OrchestrateError):
            record: Mapping[str, Any] = read_record(root.dataset(name))
            found.append((name, str(record["content_hash"])))
    return found
