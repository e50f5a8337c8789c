"""``python -m lacuna``."""

from lacuna.cli import main

if __name__ == "__main__":
    main()
