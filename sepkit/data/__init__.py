"""Tracks become random, remixed chunks, the food of a training step."""
