"""`sepkit separate` on many machines: Ray starts workers, hands them songs, and starts them again where they die."""
