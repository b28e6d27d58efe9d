"""Functions called on several ranks that are real processes and meet as those of torchrun do, over gloo.

A rank's function is found by its file and name, because test folders are no packages.
"""

import importlib.util
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch.distributed import TCPStore

LIMIT = timedelta(seconds=600)
"""After which ranks that wait for one another are ended: far longer than any of them takes on a busy machine."""


def on_ranks(function: Callable[..., Any], *sizes: int, folder: Path, **options: Any) -> dict[int, list[Any]]:
    """Call a function of a module on several ranks, for each number of them in turn; as many processes as the largest needs.

    Args:
        function: called with the ranks and the options; gives tensors, numbers and text, in lists and dictionaries.
        sizes: numbers of ranks.
        folder: where results and output are written.
        options: JSON-like keyword arguments.

    Returns:
        for every number the results of all ranks, in their order.

    Raises:
        RuntimeError: a rank failed; the others are ended, and the text is its output.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stores = {size: TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=LIMIT) for size in sizes}
    task = {
        "module": str(Path(sys.modules[function.__module__].__file__ or "")),
        "function": function.__name__,
        "ports": {str(size): store.port for size, store in stores.items()},
        "options": options,
    }
    (folder / "task.json").write_text(json.dumps(task))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    processes = []
    for rank in range(max(sizes)):
        with (folder / f"{rank}.log").open("wb") as log:
            call = [sys.executable, __file__, str(folder), str(rank)]
            processes.append(subprocess.Popen(call, env=environment, stdout=log, stderr=subprocess.STDOUT))
    _wait(processes, folder=folder)
    return {size: [torch.load(folder / f"{size}-{rank}.pt", weights_only=True) for rank in range(size)] for size in sizes}


def _wait(processes: list[subprocess.Popen[bytes]], *, folder: Path) -> None:
    """Until all have ended, one has failed, or the limit is reached: then the others are ended."""
    deadline = time.monotonic() + LIMIT.total_seconds()
    try:
        while (codes := [process.poll() for process in processes]) != [0] * len(codes):
            if any(codes) or time.monotonic() > deadline:
                output = [
                    f"rank {rank} ({code}):\n{(folder / f'{rank}.log').read_text()}" for rank, code in enumerate(codes)
                ]
                raise RuntimeError("\n".join(["ranks failed, or did not end in time:", *output]))
            time.sleep(0.05)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _main(folder: Path, rank: int) -> None:
    from autoseg.training.process_group import joined_ranks
    from autoseg.training.rendezvous import Meeting

    torch.set_num_threads(1)
    task = json.loads((folder / "task.json").read_text())
    specification = importlib.util.spec_from_file_location("of_ranks", task["module"])
    assert specification is not None
    assert specification.loader is not None
    loaded = importlib.util.module_from_spec(specification)
    sys.modules["of_ranks"] = loaded
    specification.loader.exec_module(loaded)
    warnings.simplefilter("error")  # as in the tests themselves
    for size, port in task["ports"].items():
        if rank < int(size):
            at = Meeting(port, rank, int(size))
            with joined_ranks(torch.device("cpu"), at=at, timeout_s=LIMIT.total_seconds()) as ranks:
                torch.save(getattr(loaded, task["function"])(ranks, **task["options"]), folder / f"{size}-{rank}.pt")


if __name__ == "__main__":
    _main(Path(sys.argv[1]), int(sys.argv[2]))
