"""Untrusted files: recognised, checked and decoded in a child process, so that only this one hangs or crashes."""
