"""Data that is kept between runs: its folder, and facts about files."""
