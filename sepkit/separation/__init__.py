"""A song of any length and rate becomes stems that add up to it."""
