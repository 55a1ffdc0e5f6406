"""Pickle-free files of tensors with a manifest and a checksum, and the networks that are loaded from them."""
