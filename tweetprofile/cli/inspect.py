"""`tweetprofile inspect`: what a manifest's images are, before anything is done with them."""

from typing import Any

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli.command import Command

_OF_THE_REPORT = {
    "sample": "--sample",
    "full_decode": "--full-decode",
    "as_json": "--json",
}
_OF_PICTURES = {"out": "--out", "frame_size": "--frame-size", "overwrite": "--overwrite"}


@click.command(
    "inspect",
    cls=Command,
    short_help="Say what is in a manifest, and what predict would make of it.",
)
@shared.manifest
@shared.image_root
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="N",
    help="Look at N users only, spread over the manifest: a first impression of a large one.",
)
@click.option(
    "--full-decode",
    is_flag=True,
    help="Decode every image: finds damage inside pixel data too, at a tenth of the speed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all of it as one JSON object.")
@click.option(
    "--contact-sheet",
    "sheet_of",
    metavar="USER",
    help="Instead, draw the frames of one user as the network sees them, to the PNG file -o.",
)
@click.option(
    "--contact-sheets",
    "sheets",
    type=click.IntRange(min=1),
    metavar="N",
    help="Instead, draw those of N users spread over the manifest, to the folder -o.",
)
@click.option(
    "--out",
    "-o",
    type=shared.PATH,
    help="PNG file, or folder of PNG files, that contact sheets are written to.",
)
@click.option(
    "--checkpoint",
    type=shared.CHECKPOINT,
    metavar="MODEL",
    help="Model whose volumes are meant: its file, or the folder of its run.  [default: on contact "
    "sheets the one that predict would use, else volumes of 11 frames of 112 x 112]",
)
@click.option(
    "--frame-size",
    type=click.IntRange(16, 1024),
    help="Side of the frames on contact sheets, in pixels, for a model that is still to be trained."
    "  [default: the model's]",
)
@shared.caps
@shared.stall_seconds
@shared.overwrite
@shared.talk
def command(manifest: str, quiet: bool, **choices: Any) -> None:
    """Say what is in MANIFEST, and what predict would make of it.

    Images a user, formats, sizes, missing and damaged images with their reasons, images that
    several users share, labels. MANIFEST is what predict takes: see 'tweetprofile predict --help'.

    All images are looked at, but only those are decoded for which header and end do not vouch:
    damage inside the pixel data of an image that looks whole is seen by --full-decode alone.

    With --contact-sheet or --contact-sheets nothing is reported, but drawn: the frames that the
    model which predict would use sees, in its size and number; the sheet says which model it is.
    """
    sheet_of, sheets = choices.pop("sheet_of"), choices.pop("sheets")
    if sheet_of is None and sheets is None:
        _refuse(choices, _OF_PICTURES, "is for contact sheets; give --contact-sheet USER, too")
        _report(manifest, choices, quiet=quiet)
        return
    if sheet_of is not None and sheets is not None:
        raise click.UsageError("give --contact-sheet or --contact-sheets, not both")
    _refuse(choices, _OF_THE_REPORT, "is of no use to contact sheets; leave it out")
    if choices["out"] is None:
        raise click.UsageError("contact sheets need a place; give -o")
    _draw(manifest, sheet_of, sheets, choices, quiet=quiet)


def _refuse(choices: dict[str, Any], names: dict[str, str], why: str) -> None:
    for name, option in names.items():
        if choices.get(name):
            raise click.UsageError(f"{option} {why}")


def _report(manifest: str, choices: dict[str, Any], *, quiet: bool) -> None:
    from tweetprofile.cli import inspect_view as view
    from tweetprofile.cli.console import CONSOLE
    from tweetprofile.cli.flags import with_flags
    from tweetprofile.cli.interruptions import interruptions
    from tweetprofile.cli.predict_view import predict_progress, started
    from tweetprofile.inspection.run import InspectOptions, plan_inspection, run_inspection

    as_json = choices.pop("as_json")
    wanted = {name: each for name, each in choices.items() if name not in _OF_PICTURES}
    plan = plan_inspection(manifest, InspectOptions(**wanted))
    for remark in () if quiet else plan.manifest.remarks:
        CONSOLE.print(with_flags(remark))
    with (
        interruptions(lambda: "interrupted; run the command again."),
        started(plan.engine(), quiet=quiet) as engine,
        predict_progress(plan.users, quiet=quiet) as on_progress,
    ):
        inspection = run_inspection(plan, engine, on_progress)
    if as_json:
        view.print_json(inspection)
    elif not quiet:
        view.show_inspection(inspection)


def _draw(
    manifest: str, user: str | None, sheets: int | None, choices: dict[str, Any], *, quiet: bool
) -> None:
    from tweetprofile.cli import inspect_view as view
    from tweetprofile.cli.interruptions import interruptions
    from tweetprofile.inspection.contact_sheets import (
        SheetOptions,
        draw_contact_sheet,
        draw_contact_sheets,
    )

    out = choices.pop("out")
    options = SheetOptions(
        **{name: choices[name] for name in choices if name not in _OF_THE_REPORT}
    )
    say = view.show_viewpoint if not quiet else lambda viewpoint: None
    with interruptions(lambda: "interrupted; run the command again."):
        if user is not None:
            draw_contact_sheet(manifest, user, out, options, on_model=say)
            drawn = 1
        else:
            assert sheets is not None
            with view.drawing_progress(sheets, quiet=quiet) as on_drawn:
                drawn = draw_contact_sheets(
                    manifest, sheets, out, options, on_drawn=on_drawn, on_model=say
                )
    if not quiet:
        view.show_drawn(drawn, out)
