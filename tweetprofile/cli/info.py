"""`tweetprofile info`: describes a checkpoint."""

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli.command import Command, Section, option


@click.command("info", cls=Command, short_help="Show what a checkpoint is and how it was trained.")
@click.argument("checkpoint", required=False, shell_complete=shared.complete_files)
@option(Section.OUTPUT, "--json", "as_json", is_flag=True, help="Print JSON.")
@shared.messages
def command(checkpoint: str | None, as_json: bool, quiet: bool) -> None:
    """Show the network, traits, volumes, training and scores of CHECKPOINT.

    \b
      tweetprofile info run

    Without CHECKPOINT, shows the checkpoint that predict would use. With --quiet, only checks that
    it can be loaded.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are
    from tweetprofile.checkpoints.choice import find_checkpoint
    from tweetprofile.cli.given import require_paths

    path = find_checkpoint(checkpoint)
    require_paths(path)

    from tweetprofile.checkpoints.checkpoint import load_checkpoint
    from tweetprofile.cli import info_view as view

    loaded = load_checkpoint(path)
    if quiet:
        return
    if as_json:
        view.print_json(loaded)
    else:
        view.show_checkpoint(loaded)
