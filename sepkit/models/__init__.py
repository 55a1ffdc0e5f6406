"""Networks and their settings. They never read files."""
