"""Check that `predict --evidence` finds the images that tell a trait, on drawings made for traits.

    python benchmarks/evidence.py demo/dump demo/run

Takes what `bin/demo` has made. `examples/make_dump.py` decides for each drawing which trait it
depends on, if any, and which class it shows. A drawing is telling for a trait if it shows what
users of the predicted class post. For each trait, this script prints how the contributions to the
predicted class rank telling drawings among the drawings of the same user: Spearman's rank
correlation, the share of pairs in which the telling drawing is above the other, and the share of
users whose drawing with the largest contribution is a telling one.
"""

import json
import platform
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import click
import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import make_dump

from tweetprofile import PredictOptions, predict_manifest
from tweetprofile.version import __version__


def kinds_of_images(users: int, first: int, seed: int) -> dict[str, list[str]]:
    """Return what each image of each user shows, by user id."""
    made = make_dump.make_users(seed, first, users)
    return {user.user_id: [post.kind for post in user.posts] for user in made}


def ranks_of(row: dict[str, Any], kinds: list[str], trait: str) -> tuple[float, float, bool] | None:
    """Return correlation, share of pairs in order, and whether a telling drawing is first.

    None if all drawings of the user are telling, or none.
    """
    told = make_dump.TRAITS[trait][row[trait]].__name__
    telling = np.array([kinds[each["index"]] == told for each in row["evidence"]])
    if not 0 < telling.sum() < len(telling):
        return None
    values = np.array([each["contributions"][trait] for each in row["evidence"]])
    correlation = np.corrcoef(pl.Series(values).rank(), pl.Series(telling).cast(int).rank())[0, 1]
    above = values[telling][:, None] - values[~telling]
    pairs = np.mean((above > 0) + 0.5 * (above == 0))
    return float(correlation), float(pairs), bool(telling[values.argmax()])


@click.command(help=__doc__)
@click.argument("dump", type=click.Path(exists=True, path_type=Path))
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option("--train-users", default=240, show_default=True, help="As in make_dump.py.")
@click.option("--test-users", default=60, show_default=True, help="As in make_dump.py.")
@click.option("--seed", default=2019, show_default=True, help="As in make_dump.py.")
def main(dump: Path, run: Path, train_users: int, test_users: int, seed: int) -> None:
    """Predict the test users with evidence, and compare it with the drawing rules."""
    kinds = kinds_of_images(test_users, train_users, seed)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "profiles.parquet"
        predict_manifest(dump / "test.parquet", out, PredictOptions(checkpoint=run, evidence=True))
        rows = pl.read_parquet(out).to_dicts()
    found: dict[str, dict[str, float]] = {}
    for trait in make_dump.TRAITS:
        each = [ranks_of(row, kinds[row["user_id"]], trait) for row in rows if row["evidence"]]
        known = np.array([one for one in each if one is not None], float)
        correlation, pairs, first = known.mean(axis=0)
        found[trait] = {
            "users": len(known),
            "rank_correlation": round(float(correlation), 3),
            "pairs_in_order": round(float(pairs), 3),
            "telling_first": round(float(first), 3),
        }
        click.echo(f"{trait}: {found[trait]}")
    about = {
        "date": date.today().isoformat(),
        "version": __version__,
        "python": platform.python_version(),
    }
    click.echo(json.dumps({"evidence": found, **about}))


if __name__ == "__main__":
    main()
