"""Audio files: probe, read, write, resample. The only room that touches soundfile."""
