"""The file endings that are taken for audio, and how long it may last. Imports nothing, so that configs stay cheap."""

EXTENSIONS = (
    ".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".aif", ".au", ".w64", ".caf",
    ".m4a", ".m4b", ".mp4", ".mov", ".aac", ".wma", ".webm", ".mkv", ".mka", ".oga",
)  # fmt: skip
"""Endings that a search takes for audio. libsndfile reads the first row as far as it can; PyAV reads the rest."""

READABLE = f"Readable: {', '.join(ending.removeprefix('.') for ending in EXTENSIONS)}"

LONGEST = 100
"""Hours"""
