"""Untrusted files, decoded in a child process, so that only this one hangs or crashes."""
