"""Shows the Python parameters that library messages name as the flags of the running command.

The library serves Python callers and the command line alike. Its messages therefore name parameters
as a caller knows them, in backticks: `max_pixels`, `resume=True`, `engine="ray"`. On the terminal
the same messages must name what people type: --max-pixels, --resume, --engine ray, or the metavar
of a positional argument, MANIFEST.

A message may also contain paths and names from foreign files, with backticks of their own, and a
name that is shown altered cannot be found again. So three kinds of text are never changed:

- text in quotes, which is how messages mark names that they did not choose;
- values of the running command's own arguments, and the parts of paths among them;
- a token that does not stand alone, between spaces or before punctuation, as in "a`resume`.jpg".

What remains is a name from a foreign file that a message shows without quotes, and that contains a
token for a parameter of the running command, spaces and backticks included. It is shown with the
flag instead. That misspells the name and does nothing else: a message is only ever read, and
whoever chose that name could have put the flag into it directly.
"""

import re
import shlex
from collections.abc import Iterable, Iterator
from typing import Any

import click

from tweetprofile.errors import CONTINUE, CONTINUE_OR_RESTART

_QUOTED = r"""(?<![^\s(])(?P<quote>['"])(?:(?!(?P=quote)).|(?P=quote)(?=\w))*(?P=quote)(?!\w)"""
"""Quotes may contain an apostrophe between letters, as in 'it's'."""

_TOKEN = (
    r"(?<![^\s(])`(?P<name>[a-z][a-z0-9_]*)"
    r"""(?:=(?:(?P<mark>["'])(?P<text>(?:(?!(?P=mark))[^`])*)(?P=mark)|(?P<bare>[^\s`'"]+)))?`"""
    r"(?=[.,:;!?)]*(?:\s|$))"
)


class RunningCommand:
    """Remembers which command runs, for messages that are shown after its context has closed.

    Attributes:
        context: The context of the command; None until its arguments are parsed.
    """

    def __init__(self) -> None:
        self.context: click.Context | None = None


def with_flags(message: str, context: click.Context | None = None) -> str:
    """Return a library message with the running command's parameters shown as its flags.

    Args:
        message: A message with parameters in backticks.
        context: The context of the running command; None for the current one. Without any, the
            message is returned unchanged.
    """
    context = context or click.get_current_context(silent=True)
    if context is None or "`" not in message:
        return message
    parameters = {parameter.name: parameter for parameter in context.command.params}
    if "resume" not in parameters:
        for advice in (CONTINUE_OR_RESTART, CONTINUE):
            message = message.replace(advice, "run the command again")

    def translate(found: re.Match[str]) -> str:
        parameter = parameters.get(found["name"] or "")
        shown = parameter and _show(parameter, found["text"], found["bare"])
        return shown or found[0]

    given = sorted(set(_given_with_backticks(context.params.values())), key=len, reverse=True)
    untouched = [_QUOTED, *map(re.escape, given)]
    return re.sub(f"{'|'.join(untouched)}|{_TOKEN}", translate, message, flags=re.DOTALL)


def _show(parameter: click.Parameter, text: str | None, bare: str | None) -> str | None:
    """Return a parameter, and its value if it has one, as people type them.

    Returns:
        None for a value that cannot be typed, such as `resume=False`.
    """
    value = bare if text is None else text
    if isinstance(parameter, click.Argument):
        return parameter.human_readable_name.strip("[].").upper() if value is None else None
    flag = max(parameter.opts, key=len)
    if value is None:
        return flag
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return flag if bare == "True" else None
    if bare in ("True", "False", "None"):
        return None
    return f"{flag} {shlex.quote(value)}"


def _given_with_backticks(values: Iterable[Any]) -> Iterator[str]:
    """Yield the values given to a command that contain a backtick, and such parts of paths."""
    for value in values:
        if isinstance(value, tuple):
            yield from _given_with_backticks(value)
        elif "`" in (text := str(value)):
            yield text
            yield from (part for part in text.split("/") if "`" in part)
