"""What a file says of itself in words."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tags:
    """Title and artist of a song, and a comment; empty where the file has none."""

    title: str = ""
    artist: str = ""
    comment: str = ""
