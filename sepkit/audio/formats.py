"""The file endings that are taken for audio. Imports nothing, so that configs stay cheap."""

EXTENSIONS = (".wav", ".flac", ".mp3", ".ogg", ".aiff", ".aif")
"""Read through libsndfile."""

READABLE = f"Readable: {', '.join(ending.removeprefix('.') for ending in EXTENSIONS)}"
