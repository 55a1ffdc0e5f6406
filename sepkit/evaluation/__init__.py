"""Scores of models and stems on songs: tables, JSON, a page, and comparisons."""
