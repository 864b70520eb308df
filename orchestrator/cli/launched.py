"""What a launch tells: what was submitted, what was left alone and why."""

from orchestrator.cli.prose import say
from orchestrator.controller.launched import Launched
from orchestrator.jobs.state import State
from orchestrator.sweep.expand import Sweep

LEFT_ALONE = {
    State.DONE: "done already",
    State.RUNNING: "running already",
    State.QUEUED: "waiting already",
    State.STOPPED: "stopped by its search (to train them whole: orchestrate retry --stopped)",
    State.UNKNOWN: "of unknown fate, or not whole: left alone (see orchestrate why JOB)",
}


def report_launch(sweep: Sweep, launched: Launched, *, tended: bool, canary: bool = False) -> None:
    """Print it; ``tended``: somebody will watch the sweep."""
    for warning in launched.warnings:
        say(f"warning: {warning}", err=True)
    count = len(launched.submitted)
    say(
        f"{sweep.name}: {count} of {len(sweep.points)} jobs submitted ({sweep.executor}), "
        f"run root {launched.root.path}"
    )
    for state, jobs in launched.left_alone.items():
        say(f"  {jobs} {LEFT_ALONE[state]}{_detail(state, launched)}")
    if launched.ending:
        say(
            f"  {launched.ending} of these were cancelled and are still ending: launch again when "
            f"they have ended (see: orchestrate status {sweep.name})"
        )
    if launched.later:
        why = f" ({launched.why_later})" if launched.why_later else ""
        say(
            f"  {len(launched.later)} more are due than the place takes now{why}; they are "
            "submitted as room comes, by "
            f"{'the watch' if tended else f'orchestrate watch {sweep.name}'}"
        )
    if launched.waiting:
        say(
            f"  {launched.waiting} wait for their parents; each is submitted when its parent is "
            f"done, by {'the watch' if tended else f'orchestrate watch {sweep.name}'}"
        )
    if launched.behind:
        say(
            f"  {len(launched.behind)} more wait until these have taken steps; they are submitted "
            f"then, by {'the watch' if tended else f'orchestrate watch {sweep.name}'}"
        )
    elif canary and count:
        say("  none waits for a trial job: each differs in model, data or what it asks for")
    if launched.dropped_running:
        names = ", ".join(f"{name} ({id_[:8]})" for id_, name in launched.dropped_running.items())
        say(
            f"  {len(launched.dropped_running)} no longer in the sweep, but running: {names}; "
            "to stop one: orchestrate cancel ID"
        )
    if count:
        again = "" if tended else " (jobs that are killed go on with: orchestrate watch)"
        say(f"See: orchestrate status {sweep.name}{again}")


def _detail(state: State, launched: Launched) -> str:
    if state is State.DONE:
        older = {"by older code": launched.older_code, "of older weights": launched.older_weights}
        told = [f"{count} of them {words}" for words, count in older.items() if count]
        return "".join(f", {one}" for one in told)
    if state is State.QUEUED and launched.other_placement:
        return (
            f", {launched.other_placement} of them with another placement "
            "(to change it: cancel, then launch)"
        )
    return ""
