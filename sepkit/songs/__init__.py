"""Files alone: songs in, stems out, and the separator that users know."""
