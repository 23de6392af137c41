"""Print the predicted profiles of the first users next to their labels."""

from pathlib import Path

import click
import polars as pl
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

TRAITS = ("gender", "location", "occupation")


@click.command()
@click.argument("predictions", type=click.Path(exists=True, path_type=Path))
@click.argument("labels", type=click.Path(exists=True, path_type=Path))
@click.option("--users", default=12, show_default=True, help="The number of users to show.")
def show_profiles(predictions: Path, labels: Path, users: int) -> None:
    """Print PREDICTIONS next to the labels of the manifest LABELS."""
    truth = pl.read_parquet(labels, columns=["user_id", *TRAITS])
    joined = pl.read_parquet(predictions).join(truth, on="user_id", suffix="_true")
    console = Console(highlight=False)
    console.print(_profiles_table(joined.head(users), joined.height))
    console.print(f"All profiles: {predictions}   Read them with polars.read_parquet(...).")


def _profiles_table(rows: pl.DataFrame, total: int) -> Table:
    title = f"The first {rows.height} of {total} profiles: class, confidence, label if it differs"
    table = Table(title=title, title_justify="left", box=SIMPLE)
    table.add_column("user", no_wrap=True)
    for trait in TRAITS:
        table.add_column(trait)
    table.add_column("frames", justify="right")
    table.add_column("status")
    for row in rows.iter_rows(named=True):
        cells = [_cell(row, trait) for trait in TRAITS]
        table.add_row(row["user_id"], *cells, str(row["frames_used"]), row["status"])
    return table


def _cell(row: dict[str, str | float | None], trait: str) -> str:
    guess, truth = row[trait], row[f"{trait}_true"]
    if guess is None:
        return f"none [dim]({truth})[/dim]"
    shown = f"{guess} {row[f'{trait}_confidence']:.2f}"
    return (
        f"[green]{shown}[/green]" if guess == truth else f"[red]{shown}[/red] [dim]({truth})[/dim]"
    )


if __name__ == "__main__":
    show_profiles()
