"""Entry point of the `autoseg` command."""

import os
import sys

# Large pages for tensors: training steps of separable networks take 0.8 of the time (docs/explanation/decisions.md).
# torch reads this when it is loaded, which the command line leaves to the commands that need it.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

from autoseg.cli.printing import open_closed_streams, print_traceback
from autoseg.errors import InterruptedRunError
from autoseg.jobs.interruption import Interruption, end_at_once, heed_no_more
from autoseg.jobs.torchrun import of_several


def main() -> None:
    """Run the command line and end the process."""
    open_closed_streams()
    sys.excepthook = print_traceback
    code = run()
    heed_no_more(code)
    if code == InterruptedRunError.exit_code or (
        code and of_several()
    ):  # what connects several may wait for those that ended
        end_at_once(code)
    sys.exit(code)


def run() -> int:
    """Run the command line; gives its exit code."""
    interruption = Interruption()
    try:
        with interruption.heard():
            from autoseg.cli.app import app  # noqa: PLC0415 - what takes time happens where Ctrl-C is answered

            app(obj=interruption)
    except KeyboardInterrupt:
        return InterruptedRunError.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    main()
