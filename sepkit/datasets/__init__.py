"""One file per corpus: a folder on disk becomes tracks. No torch, no decoding."""
