"""What a driver of Ray and its trials tell each other: two files that all nodes see.

Who comes first makes the member's mark, trial or driver: so a member is either begun or withdrawn,
never both. What a trial is to be told stands in the driver's record, so that it can neither come
too early nor be lost.
"""

import json

from orchestrator.jobs.files import publish_once, read_record, to_json
from orchestrator.jobs.layout import SubmissionFolder
from orchestrator.jobs.submissions import SCHEMA


def begin(folder: SubmissionFolder, index: int) -> bool:
    """A trial begins a member; False if it was withdrawn."""
    return _mark(folder, index, "trial")


def withdraw(folder: SubmissionFolder, index: int) -> bool:
    """The driver withdraws a member that waits, or has done so; False if a trial has begun it."""
    mine = _mark(folder, index, "driver")
    return mine or read_record(folder.taken_mark(index))["by"] == "driver"


def is_asked_to_stop(folder: SubmissionFolder, index: int) -> bool:
    """Whether the driver has asked a member to stop."""
    lines = folder.pool.read_bytes().split(b"\n")[:-1]
    return any(json.loads(line).get("ask") == index for line in lines if b'"ask"' in line)


def _mark(folder: SubmissionFolder, index: int, who: str) -> bool:
    return publish_once(folder.taken_mark(index), to_json({"schema": SCHEMA, "by": who}))
