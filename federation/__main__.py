"""`python -m federation` is `fedctl`."""

from federation.cli import main

if __name__ == "__main__":
    main()
