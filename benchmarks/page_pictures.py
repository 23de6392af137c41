"""Make the pictures of pages in docs/, of a drawn dump and in a real browser.

    python benchmarks/page_pictures.py PROFILES MANIFEST --user USER --report REPORT

PROFILES are profiles of the drawn dump (`examples/make_dump.py`) by `predict --evidence`, MANIFEST
is the manifest with labels that they were predicted from, and REPORT is the report.html that
`evaluate` made of both. The pictures are written to examples/browse.png, examples/browse-user.png
and examples/report.png. All users and images in them are drawings.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import click
from PIL import Image
from playwright.sync_api import Browser, ViewportSize, sync_playwright

from tweetprofile import BrowseOptions, Manifest, browse_profiles

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

WALL: ViewportSize = {"width": 1240, "height": 900}
REPORT: ViewportSize = {"width": 1000, "height": 1560}


def take_picture(
    browser: Browser, address: str, ready: str, out: Path, *, window: ViewportSize = WALL
) -> None:
    """Write what a window shows at an address as a PNG of 256 colours, which is small."""
    context = browser.new_context(viewport=window, color_scheme="light")
    tab = context.new_page()
    tab.goto(address)
    tab.wait_for_selector(ready)
    tab.wait_for_load_state("networkidle")
    tab.screenshot(path=out)
    context.close()
    with Image.open(out) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(out, optimize=True)


@click.command(help=__doc__)
@click.argument("profiles", type=click.Path(path_type=Path))
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--user", required=True, help="The user to show alone.")
@click.option(
    "--report", required=True, type=click.Path(exists=True, path_type=Path), help="The report."
)
def main(profiles: Path, manifest: Path, user: str, report: Path) -> None:
    """Make the page to browse, and take pictures of it and of the report."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        click.echo("There is no Chromium on the PATH; install one.", err=True)
        sys.exit(2)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        made = browse_profiles(profiles, manifest, Path(folder) / "page", BrowseOptions())
        number = Manifest.open(manifest).find_user(user)
        if number is None:
            raise click.UsageError(f"{manifest} has no user '{user}'")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        wall = made.page.as_uri()
        take_picture(browser, wall, ".card", EXAMPLES / "browse.png")
        one = f"{wall}#user={number + 1}"
        take_picture(browser, one, ".gallery", EXAMPLES / "browse-user.png")
        address = report.resolve().as_uri()
        take_picture(browser, address, "#summary", EXAMPLES / "report.png", window=REPORT)
        browser.close()


if __name__ == "__main__":
    main()
