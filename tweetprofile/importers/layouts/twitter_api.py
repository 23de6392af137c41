"""`twitter-api`: tweets as crawlers and scrapers keep them, and the photos beside them.

docs/importing.md lists the shapes of tweets and the names of photos. Files are plain, .gz, .bz2 or
.zst. Photos are looked for by name among the files below a folder, and never fetched.
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


def twitter_api_users(source: Path, media: Path, skipped: Skipped) -> Iterator[DumpUser]:
    """The users who have photos in a file of tweets, or in all below a folder.

    Args:
        source: the file or folder.
        media: folder of the photos, which image paths are relative to.
        skipped: gets what cannot be taken.

    Raises:
        OptionError: there is no such file.
    """
    files = [source] if is_file(source) else list(_record_files(source, skipped))
    if not files:
        raise OptionError(
            f"{source} holds no file of JSON (.jsonl, .json, .ndjson, also with .gz, .bz2, .zst)."
        )
    with MediaIndex(media, skipped) as index, PhotoSorter() as sorter:
        for file in files:
            _sort_photos(file, index, sorter, skipped)
        index.count_further_files()
        yield from sorter.users()


def _record_files(folder: Path, skipped: Skipped) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        skipped.add(SkipReason.UNREADABLE, str(error.filename), None, str(error.strerror))

    for entries in walk_files(folder, lambda entry: True, refuse):
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
