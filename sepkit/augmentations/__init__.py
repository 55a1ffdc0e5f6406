"""Random changes of training chunks; one idea per file."""
