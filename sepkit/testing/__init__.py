"""Tests for plugin authors: one line makes a test of every promise of a component."""

from sepkit.testing.conformance import conformance

__all__ = ["conformance"]
