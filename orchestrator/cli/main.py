"""The command ``orchestrate``: its verbs, imported when they are called."""

import errno
import gc
import os
import sys
from importlib import import_module
from pathlib import Path

import click

from orchestrator.errors import OrchestrateError

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
    "sync": "orchestrator.cli.sync:sync",
    "ui": "orchestrator.cli.ui:ui",
    "gc": "orchestrator.cli.gc:gc",
    "flops": "orchestrator.cli.flops:flops",
    "probe": "orchestrator.cli.probe:probe",
    "export": "orchestrator.cli.export:export",
    "import": "orchestrator.cli.import_:import_",
    "data": "orchestrator.cli.data:data",
}
SHORT_HELP = {
    "plan": "Show what a launch would do, and the disk it needs.",
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
    "sync": "Bring MLflow up to date with what was measured.",
    "ui": "Serve a study in MLflow's pages, and keep them up to date.",
    "gc": "Free disk space: of jobs that are done, weights are kept.",
    "flops": "Cost of every arm of a sweep, before anything runs; --time measures it.",
    "probe": "Look inside any checkpoint, ours or timm's: a page of figures.",
    "export": "Write a study to one file, for another run root.",
    "import": "Merge an exported study into this run root.",
    "data": "Make, show and check datasets.",
}
TELLABLE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP),
}
"""Troubles of a file system that one sentence tells."""
EXTRAS = {
    "numpy": "data",
    "PIL": "data",
    "webdataset": "data",
    "sklearn": "digits",
    "matplotlib": "plots",
    "torch": "train",
    "timm": "train",
    "submitit": "slurm",
    "mlflow": "mlflow",
}
"""Packages that a machine which only launches may lack, and the extra that brings each."""
COLLECT_AFTER = 200_000
"""Objects made before Python looks for cycles: a tenth of the time of a verb on 10,000 jobs."""
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
    try:
        cli()
    except OrchestrateError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(error.name or "")
        if extra is None:
            raise
        click.echo(
            f"error: this needs the package {error.name}, which is not installed here. "
            f"Try: pip install 'orchestrate-vit[{extra}]'",
            err=True,
        )
        sys.exit(1)
    except OSError as error:
        if error.errno not in TELLABLE:
            raise
        click.echo(f"error: {error.filename or 'the output'}: {error.strerror}", err=True)
        sys.exit(1)
