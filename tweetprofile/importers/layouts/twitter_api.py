"""`twitter-api`: tweets as crawlers and scrapers keep them, with their texts, and photos.

docs/importing.md lists the shapes of tweets and the names of photos. Files are plain, .gz, .bz2 or
.zst. Photos are looked up by name among the files below a folder, and never fetched.
"""

from collections.abc import Iterator
from pathlib import Path

from tweetprofile.errors import OptionError
from tweetprofile.importers.readers.folders import is_file, walk_files
from tweetprofile.importers.readers.json_records import is_record_file, read_records
from tweetprofile.importers.skipped import Line, Skipped, SkipReason, Wanted
from tweetprofile.importers.tweets.grouping import TweetSorter
from tweetprofile.importers.tweets.media_index import MediaIndex
from tweetprofile.importers.tweets.photos import Photo
from tweetprofile.importers.tweets.shapes import items_of
from tweetprofile.importers.tweets.texts import TweetText, UserProfile
from tweetprofile.importers.users import DumpUser

NO_PHOTOS_HERE = "photos of tweets: there is no image next to the tweets, nor a `media_dir`"


def twitter_api_users(
    source: Path, media_dir: Path | None, wanted: Wanted, skipped: Skipped
) -> Iterator[DumpUser]:
    """Yield the users who have photos or texts in a file of tweets, or in all below a folder.

    Args:
        source: The file or folder.
        media_dir: The folder of the photos, to which image paths are relative; None for that of
            the source, which need not contain any if texts are wanted.
        wanted: What to take besides photos.
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
    folder = media_dir or media_folder_of(source)
    with MediaIndex(folder, skipped) as index, TweetSorter(skipped) as sorter:
        has_photos = media_dir is not None or not wanted.texts or not index.is_empty
        reader = _TweetReader(index if has_photos else None, sorter, skipped)
        for file in files:
            reader.read(file, wanted)
        index.count_further_files()
        yield from sorter.users()


def media_folder_of(source: Path) -> Path:
    """Return the folder that photos are searched in if none is given."""
    return source if source.is_dir() else source.parent


def _record_files(folder: Path, skipped: Skipped) -> Iterator[Path]:
    def skip(error: OSError) -> None:
        skipped.add(SkipReason.UNREADABLE, str(error.filename), None, str(error.strerror))

    for entries in walk_files(folder, lambda entry: True, skip):
        yield from (Path(entry.path) for entry in entries if is_record_file(entry.name))


class _TweetReader:
    """Pass what is found in files of tweets on to a sorter.

    Args:
        index: Finds photos; None if there are none, which are then left out.
        sorter: Takes photos and texts.
        skipped: Records what cannot be taken.
    """

    def __init__(self, index: MediaIndex | None, sorter: TweetSorter, skipped: Skipped) -> None:
        self._index = index
        self._sorter = sorter
        self._skipped = skipped

    def read(self, file: Path, wanted: Wanted) -> None:
        """Read a file."""
        for number, record in read_records(file, self._skipped):
            line = Line(self._skipped, file, number, wanted)
            for item in items_of(record, line):
                match item:
                    case TweetText():
                        self._sorter.add_text(item)
                    case UserProfile():
                        self._sorter.add_profile(item)
                    case Photo():
                        self._add_photo(item, line)

    def _add_photo(self, photo: Photo, line: Line) -> None:
        if self._index is None:
            line.leave_out(NO_PHOTOS_HERE)
        elif (path := self._index.find(photo)) is None:
            line.skip(SkipReason.MISSING_FILE, f"{photo.name} of tweet {photo.tweet}")
        else:
            self._sorter.add_photo(photo, path)
