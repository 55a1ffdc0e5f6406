"""What a plugin author's tests use: one line, and every promise of a component is a test of its own."""

from sepkit.testing.conformance import conformance

__all__ = ["conformance"]
