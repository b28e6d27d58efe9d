"""Entry point of the `autoseg` command."""

import os
import sys

# Large pages for tensors: training steps of separable networks take 0.8 of the time (docs/explanation/decisions.md).
# torch reads this when it is loaded, which the command line leaves to the commands that need it.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

from autoseg.errors import InterruptedRunError
from autoseg.jobs.interruption import Interruption, heed_no_more


def main() -> None:
    """Run the command line."""
    interruption = Interruption()
    try:
        with interruption.heard():
            from autoseg.cli.app import app  # noqa: PLC0415 - what takes time happens where Ctrl-C is answered

            app(obj=interruption)
    except KeyboardInterrupt:
        sys.exit(InterruptedRunError.exit_code)
    except SystemExit as end:
        heed_no_more(end.code if isinstance(end.code, int) else 0)
        raise


if __name__ == "__main__":
    main()
