"""The class of every command."""

import click

from tweetprofile.cli.flags import RunningCommand


class Command(click.Command):
    """A command that tells `RunningCommand` that it runs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; messages from here on show this command's flags."""
        running = ctx.find_object(RunningCommand)
        if running is not None:
            running.context = ctx
        return super().parse_args(ctx, args)
