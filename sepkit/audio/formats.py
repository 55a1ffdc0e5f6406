"""The file endings that are taken for audio, and how long it may last. Imports nothing, so that configs stay cheap."""

EXTENSIONS = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".aif")
"""Read through libsndfile."""

FFMPEG_EXTENSIONS = (".m4a", ".mp4", ".aac", ".wma", ".webm", ".mkv", ".mka", ".oga")
"""Read through ffmpeg. `.oga` is: libsndfile reads it only if it holds Vorbis or Opus, not FLAC."""

READABLE = (
    f"Readable: {', '.join(ending.removeprefix('.') for ending in EXTENSIONS)}; "
    f"to separate, with ffmpeg, also {', '.join(ending.removeprefix('.') for ending in FFMPEG_EXTENSIONS)}"
)

LONGEST = 100
"""Hours"""
