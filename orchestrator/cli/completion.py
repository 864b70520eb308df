"""orchestrate completion bash|zsh|fish"""

import os
import shlex

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

BASH = r"""
%(complete_func)s() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            file,*) compopt -o default ;;
            dir,*) compopt -o dirnames ;;
            plain,*) COMPREPLY+=("${line#plain,}") ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" %(complete_var)s=bash_complete "$1" 2>/dev/null)
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[/=] ]] && compopt -o nospace
    return 0
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
"""Unlike click's it hands over the line itself: bash takes words apart at = and :."""


class Bash(BashComplete):
    """Completion for bash where names have ``=`` in them, as those of points do."""

    source_template = BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """The whole words before the cursor, and the one that it is in."""
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)
        begun = words.pop() if words and not line[-1:].isspace() else ""
        return words[1:], begun

    def format_completion(self, item: CompletionItem[str]) -> str:
        """The value as it is typed; bash replaces only what is behind the last = or : of a word."""
        typed = os.environ["COMP_LINE"].rpartition(" ")[2]
        if typed.startswith(("'", '"')):
            return f"{item.type},{item.value}"
        before = typed[: 1 + max(typed.rfind("="), typed.rfind(":"))]
        return f"{item.type},{shlex.quote(item.value).removeprefix(before)}"


add_completion_class(Bash)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script with which a shell completes verbs, options, sweeps, jobs and settings.

    \b
    bash, in ~/.bashrc:
      eval "$(orchestrate completion bash)"
    zsh, in ~/.zshrc, behind compinit:
      eval "$(orchestrate completion zsh)"
    fish, once:
      orchestrate completion fish > ~/.config/fish/completions/orchestrate.fish
    """
    from orchestrator.cli.main import VARIABLE, cli

    kind = get_completion_class(shell)
    assert kind is not None  # click has one of each
    click.echo(kind(cli, {}, "orchestrate", VARIABLE).source())
