"""What a file says of itself in words."""

from dataclasses import dataclass

LONGEST_TAG = 1000
"""Characters of a tag that are read, and bytes that are written. A few thousand in a wav or aiff come back as none, and
more make a file that cannot be opened."""


@dataclass(frozen=True, slots=True)
class Tags:
    """Title and artist of a song, and a comment; empty where the file has none."""

    title: str = ""
    artist: str = ""
    comment: str = ""
