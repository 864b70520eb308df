"""Every verb of the command line, and the examples in its help."""

import shlex
from collections.abc import Iterator

import click

from orchestrator.cli.main import cli


def verbs(group: click.Group = cli, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every verb with its whole name; of groups also what is in them."""
    context = click.Context(group, **group.context_settings)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{before}{name}", command
        if isinstance(command, click.Group):
            yield from verbs(command, f"{before}{name} ")


def examples(command: click.Command) -> list[list[str]]:
    """The words behind ``orchestrate`` of each example in its help, without what a shell takes."""
    lines = (line.strip() for line in (command.help or "").splitlines())
    written = [line for line in lines if line.startswith("orchestrate ")]
    words = [shlex.split(line, comments=True)[1:] for line in written]
    return [each[: each.index(">")] if ">" in each else each for each in words]
