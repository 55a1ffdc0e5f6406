"""Tracks -> random, remixed chunks, the input of a training step."""
