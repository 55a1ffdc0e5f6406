"""Samples -> audio files: formats and their limits, files that grow block by block, and `.stem.mp4`."""
