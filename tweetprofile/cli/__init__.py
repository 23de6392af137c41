"""The command line: one module per command, imported when the command is used.

The module of a command imports nothing heavier than click at its top. The code that does the work
is imported when the command runs, so that `--help` answers at once.
"""

import errno
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tweetprofile.cli import streams
from tweetprofile.cli.flags import RunningCommand, with_flags
from tweetprofile.errors import (
    OptionError,
    ReaderGoneError,
    TweetprofileError,
    WorkerError,
    WriteError,
)
from tweetprofile.thread_waiting import choose_waiting
from tweetprofile.untrusted.text import printable
from tweetprofile.version import __version__

EXIT_INTERRUPTED = 130

_COMMANDS = {
    "import": "import_dump",
    **{name: name for name in ("inspect", "split", "train", "use", "predict", "embed")},
    **{name: name for name in ("evaluate", "browse", "info", "runs")},
}
"""Maps the name of a command to the module of this package that defines it as `command`."""


def _unknown_command(name: str) -> str:
    """Return the message about an unknown command, with a suggestion if one is similar."""
    import difflib

    message = f"there is no command '{name}'"
    similar = difflib.get_close_matches(name.lower(), _COMMANDS, 1) or [
        command for command in _COMMANDS if command.startswith(name.lower()[:4])
    ]
    if similar:
        return f"{message}; did you mean '{similar[0]}'?"
    return f"{message}; the commands are {', '.join(_COMMANDS)}"


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"tweetprofile.cli.{_COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(_unknown_command(args[0]), ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception:
            if ctx.meta.get("tweetprofile.debug"):
                streams.say(traceback.format_exc().splitlines())
            raise


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tweetprofile")
def cli() -> None:
    """Predict gender, location and occupation of Twitter users from the images they posted.

    \b
      tweetprofile import folder dump -o manifest.parquet
      tweetprofile inspect manifest.parquet
      tweetprofile train labelled.parquet -o run
      tweetprofile predict manifest.parquet -o profiles.parquet --checkpoint run

    A manifest is a Parquet file with one row per user: user_id, and images (paths, or the files
    themselves). The predictions are for research on groups: a single prediction is often wrong, and
    the output says how confident each one is.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; an error is shown as one sentence on stderr.

    Args:
        arguments: Arguments of the command; None for those of this process, which must exit
            afterwards.
    """
    try:
        if arguments is None:
            streams.open_closed_streams()
            choose_waiting(os.environ)  # before a command loads PyTorch
        code = _finish(_run(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    if arguments is None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to interrupt
    return code


def _run(arguments: Sequence[str]) -> int:
    running = RunningCommand()
    try:
        _require_working_folder()
        _require_utf8(arguments)
        cli.main(args=arguments, prog_name="tweetprofile", standalone_mode=False, obj=running)
    except click.exceptions.Exit as request:
        return request.exit_code
    except SystemExit as request:
        # Click ends so after it has completed a command line, and if nothing reads the pipe.
        return 0 if request.code == 0 else ReaderGoneError.exit_code
    except Exception as error:
        code, sentence, more = _explain(error, running.context)
        if sentence:
            streams.say_error(sentence, more)
        else:
            streams.say(more)
        return code
    return 0


def _finish(code: int) -> int:
    """Flush stdout and stderr while a failure can still be reported; return the exit code."""
    try:
        streams.stdout().flush()
    except ReaderGoneError as error:
        code = code or error.exit_code
    except WriteError as error:
        streams.say_error(str(error))
        code = code or error.exit_code
    streams.stderr().flush()
    return code


def _require_working_folder() -> None:
    """Raise OptionError if the working folder was deleted, because libraries crash without one."""
    try:
        Path.cwd()
    except OSError:
        raise OptionError(
            "the working folder was deleted or cannot be reached; change to another folder."
        ) from None


def _require_utf8(arguments: Sequence[str]) -> None:
    """Raise OptionError for an argument that is not UTF-8: no output file could record it."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise OptionError(
                f"the argument '{printable(argument)}' contains bytes that are not UTF-8; rename "
                "the file."
            ) from None


def _explain(error: Exception, context: click.Context | None) -> tuple[int, str, list[str]]:
    """Return the exit code of an error, its sentence, and further lines; any may be empty."""
    code, more = 1, []
    match error:
        case click.exceptions.NoArgsIsHelpError():
            return 2, "", error.format_message().splitlines()
        case ReaderGoneError():
            return error.exit_code, "", []
        case click.Abort():
            code = EXIT_INTERRUPTED
            sentence = "interrupted; unfinished work was discarded, run the command again."
        case click.ClickException():
            code, sentence = 2, _with_hint(error)
        case WorkerError():
            sentence, more = with_flags(error.sentence, context), error.printed.splitlines()
        case TweetprofileError():
            code, sentence = error.exit_code, with_flags(str(error), context)
        case OSError():
            # A name that is too long stays too long: the command must change, so it is usage.
            code = 2 if error.errno == errno.ENAMETOOLONG else 1
            sentence = f"{_describe(error)}; fix that and run the command again."
        case MemoryError():
            sentence = "out of memory; run the command on a machine with more."
        case UnicodeEncodeError():
            code = 2
            sentence = f"'{printable(error.object)}' contains bytes that are not UTF-8; rename it."
        case _:
            fault = f"{type(error).__name__}: {error}"
            sentence = (
                f"this is a fault of tweetprofile itself ({fault}); add --debug and report it."
            )
    return code, sentence, more


def _describe(error: OSError) -> str:
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return ": ".join([*names, error.strerror or str(error)])


def _with_hint(error: click.ClickException) -> str:
    """Return click's message, with a pointer to the help."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "tweetprofile"
    message = error.format_message().rstrip(".")
    # After a mistyped option, click's message ends with a question.
    return (
        f"{message} See '{path} --help'."
        if message.endswith("?")
        else (f"{message}; see '{path} --help'.")
    )
