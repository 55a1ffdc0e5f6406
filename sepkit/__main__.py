"""`python -m sepkit`: the same as the command `sepkit`."""

from sepkit.cli import main

if __name__ == "__main__":
    main()
