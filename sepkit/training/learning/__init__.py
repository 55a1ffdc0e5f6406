"""A network and all that changes while it learns."""
