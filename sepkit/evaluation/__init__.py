"""Tracks times metrics become tables and JSON."""
