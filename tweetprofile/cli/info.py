"""`tweetprofile info`: what a checkpoint is."""

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli.command import Command


@click.command("info", cls=Command, short_help="Say what a checkpoint is and how it was trained.")
@click.argument("checkpoint", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@shared.talk
def command(checkpoint: str | None, as_json: bool, quiet: bool) -> None:
    """Say what CHECKPOINT is: network, traits, volumes, training and scores.

    Without CHECKPOINT, the one that predict would use. With --quiet, only check that it can be
    loaded.
    """
    from tweetprofile.checkpoints.checkpoint import load_checkpoint
    from tweetprofile.checkpoints.choice import find_checkpoint
    from tweetprofile.cli import info_view as view

    loaded = load_checkpoint(find_checkpoint(checkpoint))
    if quiet:
        return
    if as_json:
        view.print_json(loaded)
    else:
        view.show_checkpoint(loaded)
