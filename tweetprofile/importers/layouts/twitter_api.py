"""`twitter-api`: tweets as crawlers and scrapers keep them, and a folder of photos.

docs/importing.md lists the shapes of tweets and the names of photos. Files are plain, .gz, .bz2 or
.zst. Photos are looked up by name among the files below a folder, and never fetched.
"""

from collections.abc import Iterator
from pathlib import Path

from tweetprofile.errors import OptionError
from tweetprofile.importers.readers.folders import is_file, walk_files
from tweetprofile.importers.readers.json_records import is_record_file, read_records
from tweetprofile.importers.skipped import Line, Skipped, SkipReason
from tweetprofile.importers.tweets.grouping import PhotoSorter
from tweetprofile.importers.tweets.media_index import MediaIndex
from tweetprofile.importers.tweets.shapes import photos_of
from tweetprofile.importers.users import DumpUser


def twitter_api_users(source: Path, media_dir: Path, skipped: Skipped) -> Iterator[DumpUser]:
    """Yield the users who have photos in a file of tweets, or in all files below a folder.

    Args:
        source: The file or folder.
        media_dir: The folder of the photos, to which image paths are relative.
        skipped: Records what cannot be taken.

    Raises:
        OptionError: There is no such file.
    """
    files = [source] if is_file(source) else list(_record_files(source, skipped))
    if not files:
        raise OptionError(
            f"{source} contains no file of tweets; give a folder of .jsonl, .json or .ndjson "
            "files, plain or with .gz, .bz2 or .zst."
        )
    with MediaIndex(media_dir, skipped) as index, PhotoSorter() as sorter:
        for file in files:
            _sort_photos(file, index, sorter, skipped)
        index.count_further_files()
        yield from sorter.users()


def _record_files(folder: Path, skipped: Skipped) -> Iterator[Path]:
    def skip(error: OSError) -> None:
        skipped.add(SkipReason.UNREADABLE, str(error.filename), None, str(error.strerror))

    for entries in walk_files(folder, lambda entry: True, skip):
        yield from (Path(entry.path) for entry in entries if is_record_file(entry.name))


def _sort_photos(file: Path, index: MediaIndex, sorter: PhotoSorter, skipped: Skipped) -> None:
    for number, record in read_records(file, skipped):
        line = Line(skipped, file, number)
        for photo in photos_of(record, line):
            path = index.find(photo)
            if path is None:
                line.skip(SkipReason.MISSING_FILE, f"{photo.name} of tweet {photo.tweet}")
            else:
                sorter.add(photo.user_id, photo.tweet, photo.position, path)
