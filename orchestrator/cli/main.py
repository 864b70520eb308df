"""The command ``orchestrate``: its verbs, imported when they are called."""

import errno
import gc
import os
import sys
from importlib import import_module
from pathlib import Path

import click

from orchestrator.cli.prose import say
from orchestrator.errors import OrchestrateError
from orchestrator.extras import naming_extras

VERBS = {
    "plan": "orchestrator.cli.plan:plan",
    "launch": "orchestrator.cli.launch:launch",
    "status": "orchestrator.cli.status:status",
    "watch": "orchestrator.cli.watch:watch",
    "why": "orchestrator.cli.why:why",
    "failures": "orchestrator.cli.failures:failures",
    "retry": "orchestrator.cli.retry:retry",
    "logs": "orchestrator.cli.logs:logs",
    "cancel": "orchestrator.cli.cancel:cancel",
    "results": "orchestrator.cli.results:results",
    "emergence": "orchestrator.cli.emergence:emergence",
    "compare": "orchestrator.cli.compare:compare",
    "report": "orchestrator.cli.report:report",
    "usage": "orchestrator.cli.usage:usage",
    "sync": "orchestrator.cli.sync:sync",
    "ui": "orchestrator.cli.ui:ui",
    "gc": "orchestrator.cli.gc:gc",
    "doctor": "orchestrator.cli.doctor:doctor",
    "flops": "orchestrator.cli.flops:flops",
    "schema": "orchestrator.cli.schema:schema",
    "completion": "orchestrator.cli.completion:completion",
    "probe": "orchestrator.cli.probe:probe",
    "weights": "orchestrator.cli.weights:weights",
    "export": "orchestrator.cli.export:export",
    "import": "orchestrator.cli.import_:import_",
    "data": "orchestrator.cli.data:data",
}
SHORT_HELP = {
    "plan": "Show what a launch would do, what it costs, when it is done.",
    "launch": "Run what a sweep file asks for and is not done yet.",
    "status": "Show what runs, waits, failed, is done.",
    "watch": "Tend sweeps: submit again what was preempted, and what waited for room.",
    "why": "Say in a sentence what a job waits for, or why it failed, and what to do.",
    "failures": "Show what failed, grouped by why, and what such jobs have in common.",
    "retry": "Try again what failed or was given up; --why tells the rules.",
    "logs": "Show what a job printed.",
    "cancel": "Stop jobs; they stay cancelled until launched again.",
    "results": "Compare: mean and spread over seeds.",
    "emergence": "When artifacts emerged, if they did.",
    "compare": "In what two jobs differ, and in what they measured.",
    "report": "Write the answer of a study as one page, and its figures.",
    "usage": "Show what jobs took of what they asked for, and better limits.",
    "sync": "Bring MLflow up to date with what was measured.",
    "ui": "Serve a study in MLflow's pages, and keep them up to date.",
    "gc": "Free disk space: of jobs that are done, weights are kept.",
    "doctor": "Check a site: file system, packages, data, MLflow, SLURM.",
    "flops": "Cost of every arm of a sweep, before anything runs; --time measures it.",
    "schema": "Print the JSON Schema of a sweep file, for editors.",
    "completion": "Print what lets bash, zsh or fish complete words.",
    "probe": "Look inside any checkpoint, ours or timm's: a page of figures.",
    "weights": "Write a job's weights to a file that plain timm loads.",
    "export": "Write a study to one file, for another run root.",
    "import": "Merge an exported study into this run root.",
    "data": "Make, show and check datasets.",
}
TELLABLE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP),
}
"""Troubles of a file system that one sentence tells."""
COLLECT_AFTER = 200_000
"""Objects made before Python looks for cycles: a tenth of the time of a verb on 10,000 jobs."""
VARIABLE = "_ORCHESTRATE_COMPLETE"
"""With it in its environment the program answers a shell that completes a word."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as a shell has it."""


class Verbs(click.Group):
    """A group whose commands are imported one by one, so that help comes at once."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, attribute = VERBS[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> None:
        try:
            super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SHORT_HELP.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="orchestrate-vit")
def cli() -> None:
    """Architecture studies of vision transformers: a sweep file in, a comparison out.

    \b
    orchestrate data prepare digits
    orchestrate launch sweeps/quickstart.yaml --wait
    orchestrate results quickstart
    """


def main() -> None:
    """Run the command line; our own errors are one message and exit code 1."""
    gc.set_threshold(COLLECT_AFTER)
    if sys.stdout is None:  # closed by whoever started us
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - open as long as the process
    if VARIABLE in os.environ:
        import_module("orchestrator.cli.completion")
    try:
        with naming_extras():
            cli(prog_name="orchestrate", complete_var=VARIABLE)
    except OrchestrateError as error:
        say(f"error: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.errno not in TELLABLE:
            raise
        click.echo(f"error: {error.filename or 'the output'}: {error.strerror}", err=True)
        sys.exit(1)
