"""Write docs/cli.md, the reference of all commands, from what `--help` says."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click.testing import CliRunner

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tweetprofile.cli import cli  # noqa: E402

WIDTH = 100
PAGE = ROOT / "docs" / "cli.md"
HEAD = """\
# Command-line reference

What `--help` says of every command. `bin/docs` writes this page; do not edit it.
"""


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command below a group, in the order in which help lists them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        yield (*path, name)
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def help_of(words: tuple[str, ...]) -> str:
    """Return the help of one command at the width of the page."""
    result = CliRunner().invoke(
        cli,
        [*words, "--help"],
        prog_name="tweetprofile",
        terminal_width=WIDTH,
        catch_exceptions=False,
    )
    return "\n".join(line.rstrip() for line in result.output.splitlines())


def reference() -> str:
    """Return the whole page."""
    sections = [
        f"## {' '.join(('tweetprofile', *words))}\n\n```text\n{help_of(words)}\n```\n"
        for words in ((), *commands(cli))
    ]
    return "\n".join([HEAD, *sections])


@click.command(help=__doc__)
@click.option("--print", "to_stdout", is_flag=True, help="Print the page; write nothing.")
def main(to_stdout: bool) -> None:
    """Write the page, or print it."""
    if to_stdout:
        click.echo(reference(), nl=False)
    else:
        PAGE.write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
