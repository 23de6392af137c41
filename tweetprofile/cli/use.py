"""`tweetprofile use`: which model to predict with where none is named."""

from pathlib import Path

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli.command import Command


@click.command("use", cls=Command, short_help="Choose the model that predict uses from now on.")
@click.argument("run", type=shared.PATH)
@shared.talk
def command(run: Path, quiet: bool) -> None:
    """Choose the model that predict, evaluate, inspect and info use where none is named.

    RUN is the folder of a training run, or a checkpoint. A copy is kept in your data folder, so the
    run may be moved or removed afterwards. A training never changes the choice.
    """
    from tweetprofile.checkpoints.checkpoint import load_checkpoint
    from tweetprofile.checkpoints.choice import find_checkpoint, set_default_checkpoint
    from tweetprofile.checkpoints.header import describe_origin
    from tweetprofile.cli.console import CONSOLE

    path = find_checkpoint(run)
    checkpoint = load_checkpoint(path)
    kept = set_default_checkpoint(path)
    if not quiet:
        CONSOLE.print(
            f"{checkpoint.network_spec.name} for {', '.join(checkpoint.schema.names)} "
            f"({describe_origin(checkpoint.training)}) is used where no checkpoint is named; "
            f"a copy is kept as {kept}",
        )
