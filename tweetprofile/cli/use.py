"""`tweetprofile use`: chooses the default checkpoint."""

from pathlib import Path

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli.command import Command


@click.command("use", cls=Command, short_help="Choose the model that predict uses from now on.")
@click.argument("run", type=shared.PATH)
@shared.messages
def command(run: Path, quiet: bool) -> None:
    """Choose the model that predict, evaluate, inspect and info use if none is named.

    \b
      tweetprofile use run

    RUN is a run folder of train, or a checkpoint. A copy is kept in your data folder, so the run
    may be moved or removed afterwards. Training never changes the choice.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are
    from tweetprofile.checkpoints.choice import find_checkpoint, set_default_checkpoint
    from tweetprofile.cli.given import require_paths

    path = find_checkpoint(run)
    require_paths(path)

    from tweetprofile.checkpoints.checkpoint import load_checkpoint
    from tweetprofile.checkpoints.header import describe_origin
    from tweetprofile.cli.console import CONSOLE

    checkpoint = load_checkpoint(path)
    kept = set_default_checkpoint(path)
    if not quiet:
        CONSOLE.print(
            f"{checkpoint.network_spec.name} for {', '.join(checkpoint.schema.names)} "
            f"({describe_origin(checkpoint.training)}) is now used if no checkpoint is named; a "
            f"copy is kept as {kept}",
        )
