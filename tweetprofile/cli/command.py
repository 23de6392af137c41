"""The classes of every command and option: help in sections, and a record of what runs."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

import click

from tweetprofile.cli.flags import RunningCommand

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class Section(StrEnum):
    """Headings that `--help` lists options under, in the order in which they appear."""

    INPUT = "Input"
    MODEL = "Model"
    TRAINING = "Training"
    HELD_OUT = "Held-out users"
    SPLIT = "Split"
    IMAGES = "Images"
    TEXTS = "Texts"
    CONTACT_SHEETS = "Contact sheets"
    OUTPUT = "Output"
    DEVICES = "Devices"
    ROBUSTNESS = "Robustness"
    OTHER = "Other"


class Option(click.Option):
    """An option that belongs to a section of the help.

    Args:
        *args: Positional arguments of `click.Option`.
        section: The section that lists the option.
        **kwargs: Keyword arguments of `click.Option`.
    """

    def __init__(self, *args: Any, section: Section, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


def option(section: Section, *flags: str, **attributes: Any) -> Callable[[FunctionT], FunctionT]:
    """Add an option to a command, in a section of its help; otherwise like `click.option`."""
    return click.option(*flags, cls=Option, section=section, **attributes)


class Command(click.Command):
    """A command whose help lists its options in sections, and that records itself as running."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; messages from here on show this command's flags."""
        running = ctx.find_object(RunningCommand)
        if running is not None:
            running.context = ctx
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, each section under its own heading."""
        sections: dict[Section, list[tuple[str, str]]] = {section: [] for section in Section}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if isinstance(parameter, click.Option) and record is not None:
                # Click itself adds --help, which is in no section.
                sections[getattr(parameter, "section", Section.OTHER)].append(record)
        for section, records in sections.items():
            if records:
                with formatter.section(section):
                    formatter.write_dl(records)
