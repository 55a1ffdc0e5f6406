"""What of a run is on disk: written whole, read back to the bit."""
