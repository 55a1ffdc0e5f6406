"""Training: the loop, early stopping, and the files of a run."""
