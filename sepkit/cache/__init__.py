"""What is kept between runs: where, and what is known about files."""
