"""What becomes of an evaluation: JSON, CSV, tables in the terminal."""
