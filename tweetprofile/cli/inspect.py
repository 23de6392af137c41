"""`tweetprofile inspect`: reports on the images of a manifest before anything is done with them."""

from typing import Any

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli.command import Command, Section, option

_REPORT_FLAGS = {
    "sample": "--sample",
    "full_decode": "--full-decode",
    "as_json": "--json",
}
_SHEET_FLAGS = {"out": "--out", "frame_size": "--frame-size", "overwrite": "--overwrite"}


@click.command(
    "inspect",
    cls=Command,
    short_help="Show what is in a manifest, and what predict would make of it.",
)
@shared.manifest
@shared.image_root
@option(
    Section.INPUT,
    "--sample",
    type=click.IntRange(min=1),
    metavar="N",
    help="Inspect only N users, spread over the manifest: a first look at a large one.",
)
@option(
    Section.IMAGES,
    "--full-decode",
    is_flag=True,
    help="Decode every image: also finds damage inside the pixel data, at a tenth of the speed.",
)
@option(
    Section.OUTPUT,
    "--json",
    "as_json",
    is_flag=True,
    help="Print the whole report as one JSON object.",
)
@option(
    Section.CONTACT_SHEETS,
    "--contact-sheet",
    "sheet_of",
    metavar="USER",
    help="Instead of a report, draw the frames of one user as the network sees them, as the PNG "
    "file -o.",
)
@option(
    Section.CONTACT_SHEETS,
    "--contact-sheets",
    "sheets",
    type=click.IntRange(min=1),
    metavar="N",
    help="Instead of a report, draw the frames of N users, spread over the manifest, into the "
    "folder -o.",
)
@option(
    Section.CONTACT_SHEETS,
    "--out",
    "-o",
    type=shared.PATH,
    help="PNG file, or folder of PNG files, to write contact sheets to.",
)
@option(
    Section.MODEL,
    "--checkpoint",
    type=shared.CHECKPOINT,
    metavar="MODEL",
    help="Model whose volumes the users are checked against: a model file, or the folder of a "
    "training run.  [default: for contact sheets the model that predict would use, else volumes of "
    "11 frames of 112 x 112]",
)
@option(
    Section.CONTACT_SHEETS,
    "--frame-size",
    type=click.IntRange(16, 1024),
    metavar="PIXELS",
    help="Width and height of the frames in pixels, for a model that has not been trained yet.  "
    "[default: that of the model]",
)
@shared.detail("that of the model, else frame")
@shared.caps
@shared.text_caps
@shared.stall_seconds
@shared.overwrite
@shared.messages
def command(manifest: str, quiet: bool, **choices: Any) -> None:
    """Show what is in MANIFEST, and what predict would make of it.

    \b
      tweetprofile inspect manifest.parquet

    The report covers images per user, formats, sizes, missing and damaged images with the reason,
    images that several users share, texts per user, and labels. MANIFEST is the same as for
    predict; see 'tweetprofile predict --help'.

    All images are read, but those whose header and end show them to be complete are not decoded.
    Damage inside their pixel data is found by --full-decode only.

    With --contact-sheet or --contact-sheets there is no report. Instead the frames are drawn as
    the model that predict would use sees them, in the same size and number; each sheet names the
    model.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are
    sheet_of, sheets = choices.pop("sheet_of"), choices.pop("sheets")
    limits = {name: choices.pop(name) for name in ("max_texts", "max_text_bytes")}
    if sheet_of is None and sheets is None:
        _refuse(choices, _SHEET_FLAGS, "is for contact sheets; also give --contact-sheet USER")
        _report(manifest, choices, limits, quiet=quiet)
        return
    if sheet_of is not None and sheets is not None:
        raise click.UsageError("give --contact-sheet or --contact-sheets, not both")
    _refuse(choices, _REPORT_FLAGS, "has no effect on contact sheets; leave it out")
    if choices["out"] is None:
        raise click.UsageError("contact sheets need a file or folder to write to; give -o")
    _draw(manifest, sheet_of, sheets, choices, quiet=quiet)


def _refuse(choices: dict[str, Any], names: dict[str, str], why: str) -> None:
    for name, flag in names.items():
        if choices.get(name):
            raise click.UsageError(f"{flag} {why}")


def _report(manifest: str, choices: dict[str, Any], limits: dict[str, Any], *, quiet: bool) -> None:
    from tweetprofile.cli.given import require_paths

    require_paths(choices["checkpoint"])

    from tweetprofile.cli import inspect_view as view
    from tweetprofile.cli.console import CONSOLE
    from tweetprofile.cli.flags import with_flags
    from tweetprofile.cli.interruptions import interruptions
    from tweetprofile.cli.predict_view import predict_progress, started
    from tweetprofile.inspection.run import InspectOptions, plan_inspection, run_inspection

    as_json = choices.pop("as_json")
    wanted = {name: each for name, each in choices.items() if name not in _SHEET_FLAGS}
    plan = plan_inspection(manifest, InspectOptions(**wanted, **limits))
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
        view.show_inspection(inspection, from_checkpoint=plan.options.checkpoint is not None)


def _draw(
    manifest: str, user: str | None, sheets: int | None, choices: dict[str, Any], *, quiet: bool
) -> None:
    from tweetprofile.cli.given import require_manifests, require_paths

    require_manifests(manifest)
    require_paths(choices["checkpoint"])

    from tweetprofile.cli import inspect_view as view
    from tweetprofile.cli.interruptions import interruptions
    from tweetprofile.inspection.contact_sheets import (
        SheetOptions,
        draw_contact_sheet,
        draw_contact_sheets,
    )

    out = choices.pop("out")
    options = SheetOptions(**{name: choices[name] for name in choices if name not in _REPORT_FLAGS})
    say = view.show_sheet_model if not quiet else lambda viewpoint: None
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
