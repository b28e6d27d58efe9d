"""Entry point of the `autoseg` command."""

import os

# Large pages for tensors: training steps of separable networks take 0.8 of the time (docs/explanation/decisions.md).
# torch reads this when it is loaded, which the command line leaves to the commands that need it.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

from autoseg.cli.app import app


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
