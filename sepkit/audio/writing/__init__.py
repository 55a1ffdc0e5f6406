"""Samples -> audio files: formats and what they hold, files that grow block by block, and `.stem.mp4`."""
