"""Songs on disk: which ones, where their stems go, and all stems of a song or none."""
