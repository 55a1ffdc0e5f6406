"""Scores of separated tracks; one idea per file."""
