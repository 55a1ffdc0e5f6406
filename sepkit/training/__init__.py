"""The loop, early stopping, state and history of a run."""
