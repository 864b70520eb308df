"""The verb watch: observe, store what was seen, submit again what is due; repeated."""

from orchestrator.controller.submit import Submitter, Terms, due_of_revision
from orchestrator.controller.survey import Survey, settle, store_ends, survey
from orchestrator.jobs.layout import Root
from orchestrator.jobs.lease import leased
from orchestrator.jobs.state import Sight, State
from orchestrator.jobs.store import launched_revision
from orchestrator.jobs.submissions import is_open, read_outcomes

SETTLED = (State.DONE, State.CANCELLED)
MAY_BE_DUE = (State.PREEMPTED, State.FAILED, State.PLANNED)


def tend(root: Root, sweep: str) -> Survey:
    """One round over a launched sweep; takes the lease only if there is something to write."""
    revision = launched_revision(root, sweep)
    due_by_id = {one.id: one for one in due_of_revision(revision)}
    found = survey(root, list(due_by_id))
    if not _has_work(root, found):
        return found
    with leased(root, f"watch {sweep}") as lease:
        settle(root)
        found = survey(root, list(due_by_id))
        store_ends(root, found)
        due = [due_by_id[job] for job, status in found.statuses.items() if status.due]
        if due:
            terms = Terms.of_revision(revision)
            Submitter(root, lease, terms, revision["snapshot"]).submit(due, found)
            found = survey(root, list(due_by_id))
    return found


def is_settled(found: Survey) -> bool:
    """Whether nothing more will happen without a person."""
    return all(_is_settled(found, job) for job in found.statuses)


def _is_settled(found: Survey, job: str) -> bool:
    status = found.statuses[job]
    if status.state is State.UNKNOWN:  # an open intent is settled by ``settle``, a silence is not
        return all(member.handle or member.refused for member in found.facts[job].members)
    given_up = status.state in MAY_BE_DUE and not status.due
    return status.state in SETTLED or given_up


def _has_work(root: Root, found: Survey) -> bool:
    if any(status.due for status in found.statuses.values()):
        return True
    folders = [root.submission(s.token) for s in found.submissions]
    if any(is_open(folder) for folder in folders):
        return True
    ends = {name for name, sighting in found.seen.items() if sighting.sight is Sight.ENDED}
    stored = {(f.token, o["index"]) for f in folders for o in read_outcomes(f)}
    return not ends <= stored
