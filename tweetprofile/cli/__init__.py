"""The command line: one module a command, imported when it is needed.

A command's module imports only click at its top; what does the work is imported when the command
runs, so that `--help` answers at once.
"""

import importlib
import traceback
from collections.abc import Sequence
from typing import Any

import click

from tweetprofile.errors import TweetprofileError
from tweetprofile.version import __version__

EXIT_INTERRUPTED = 130

_COMMANDS = {
    "import": "import_dump",
    **{name: name for name in ("inspect", "train", "predict", "evaluate", "info")},
}
"""Name of a command to the module of this package that holds it as `command`."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"tweetprofile.cli.{_COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception:
            if ctx.meta.get("tweetprofile.debug"):
                traceback.print_exc()
            raise


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tweetprofile")
def cli() -> None:
    """Predict gender, location and occupation of Twitter users from the images they posted.

    \b
    tweetprofile import folder dump -o manifest.parquet
    tweetprofile inspect manifest.parquet
    tweetprofile train labelled.parquet -o run
    tweetprofile predict manifest.parquet -o out.parquet

    A manifest is Parquet with a row a user: user_id, and images (paths, or the files themselves).
    For research on groups: single predictions are often wrong, and the output says how sure it is.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; errors become one sentence on stderr."""
    try:
        cli.main(args=arguments, prog_name="tweetprofile", standalone_mode=False)
    except click.exceptions.Exit as request:
        return request.exit_code
    except Exception as error:
        code, sentence = _explain(error)
        click.echo(sentence, err=True)
        return code
    return 0


def _explain(error: Exception) -> tuple[int, str]:
    """Exit code and sentence for whatever ended a command."""
    match error:
        case click.exceptions.NoArgsIsHelpError():
            return 2, error.format_message()
        case click.Abort():
            discarded = "what was under way is discarded; run the command again."
            return EXIT_INTERRUPTED, f"tweetprofile: interrupted: {discarded}"
        case click.ClickException():
            return 2, f"tweetprofile: {_with_hint(error)}"
        case TweetprofileError():
            return error.exit_code, f"tweetprofile: {error}"
    fault = f"{type(error).__name__}: {error}"
    return 1, f"tweetprofile: a fault of tweetprofile itself ({fault}); add --debug and report it."


def _with_hint(error: click.ClickException) -> str:
    """Click's sentence, and where to read on."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "tweetprofile"
    return f"{error.format_message().rstrip('.')}; see '{path} --help'."
