"""Make the pictures in docs/browsing.md: the page of a drawn dump, in a real browser.

    python benchmarks/browse_pictures.py PROFILES MANIFEST --user USER

PROFILES are profiles of the drawn dump (`examples/make_dump.py`) by `predict --evidence`, and
MANIFEST is the manifest with labels that they were predicted from. The pictures are written to
examples/browse.png and examples/browse-user.png. All users and images in them are drawings.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import click
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tweetprofile import BrowseOptions, Manifest, browse_profiles

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

WINDOW = {"width": 1240, "height": 900}


def take_picture(browser: Browser, page: Path, address: str, ready: str, out: Path) -> None:
    """Write what a window shows at an address as a PNG of 256 colours, which is small."""
    context = browser.new_context(viewport=WINDOW, color_scheme="light")  # type: ignore[arg-type]
    tab = context.new_page()
    tab.goto(page.as_uri() + address)
    tab.wait_for_selector(ready)
    tab.wait_for_load_state("networkidle")
    tab.screenshot(path=out)
    context.close()
    with Image.open(out) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(out, optimize=True)


@click.command(help="Make the pictures in docs/browsing.md of PROFILES and their MANIFEST.")
@click.argument("profiles", type=click.Path(path_type=Path))
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--user", required=True, help="The user to show alone.")
def main(profiles: Path, manifest: Path, user: str) -> None:
    """Make the page, and take pictures of it."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        click.echo("There is no Chromium on the PATH; install one.", err=True)
        sys.exit(2)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        made = browse_profiles(profiles, manifest, Path(folder) / "page", BrowseOptions())
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        take_picture(browser, made.page, "", ".card", EXAMPLES / "browse.png")
        number = Manifest.open(manifest).find_user(user)
        if number is None:
            raise click.UsageError(f"{manifest} has no user '{user}'")
        address = f"#user={number + 1}"
        take_picture(browser, made.page, address, ".gallery", EXAMPLES / "browse-user.png")
        browser.close()


if __name__ == "__main__":
    main()
