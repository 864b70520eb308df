"""orchestrate schema [--json VERB]"""

import json

import click

from orchestrator.cli.candidates import completed_by, documents


@click.command()
@click.option(
    "--json",
    "verb",
    metavar="VERB",
    shell_complete=completed_by(documents),
    help="That of what VERB --json prints (docs/json.md).",
)
def schema(verb: str | None) -> None:
    """Print the JSON Schema of a sweep file: an editor that has it completes and checks keys.

    \b
    orchestrate schema > sweep.schema.json
    # in the first line of a sweep, for editors with the YAML language server:
    # yaml-language-server: $schema=sweep.schema.json
    orchestrate schema --json status
    orchestrate schema --json 'data inspect'
    """
    if verb is not None:
        from orchestrator.documents.registry import schema_of

        click.echo(json.dumps(schema_of(verb), indent=1))
        return
    from orchestrator.executors import EXECUTORS
    from orchestrator.sweep.schema import sweep_schema

    click.echo(json.dumps(sweep_schema(EXECUTORS), indent=1))
