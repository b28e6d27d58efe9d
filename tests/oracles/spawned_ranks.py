"""Functions called on several ranks that are real processes and meet as those of torchrun do, over gloo.

A rank's function is found by its file and name, because test folders are no packages.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

LIMIT_S = 300.0
"""After which ranks that wait for one another are ended: far longer than any of them takes on a busy machine."""


def on_ranks(function: Callable[..., Any], size: int, *, folder: Path, **options: Any) -> list[Any]:
    """Call a function of a module on several ranks.

    Args:
        function: called with the ranks and the options; gives tensors, numbers and text, in lists and dictionaries.
        size: number of ranks.
        folder: where results and output are written.
        options: JSON-like keyword arguments.

    Returns:
        the results of all ranks, in their order.

    Raises:
        RuntimeError: a rank failed; the others are ended, and the text is its output.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=LIMIT_S))
    call = [sys.executable, __file__, str(Path(sys.modules[function.__module__].__file__ or "")), function.__name__]
    shared = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # the addresses are held here, as by torchrun
        "WORLD_SIZE": str(size),
    }
    processes = []
    for rank in range(size):
        with (folder / f"{rank}.log").open("wb") as log:
            environment = {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            result = str(folder / f"{rank}.pt")
            processes.append(
                subprocess.Popen([*call, result, json.dumps(options)], env=environment, stdout=log, stderr=subprocess.STDOUT)
            )
    _wait(processes, folder=folder)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(size)]


def _wait(processes: list[subprocess.Popen[bytes]], *, folder: Path) -> None:
    left = dict(enumerate(processes))
    try:
        for rank, process in enumerate(processes):
            if process.wait(timeout=LIMIT_S) != 0:
                break
            del left[rank]
    finally:
        for process in left.values():
            process.kill()
            process.wait()
    if left:
        output = "\n".join(f"rank {rank}:\n{(folder / f'{rank}.log').read_text()[-3000:]}" for rank in left)
        raise RuntimeError(f"ranks failed or were ended:\n{output}")


def _main(module: str, name: str, result: str, options: str) -> None:
    from autoseg.training.process_group import joined_ranks

    torch.set_num_threads(1)
    specification = importlib.util.spec_from_file_location("of_ranks", module)
    assert specification is not None
    assert specification.loader is not None
    loaded = importlib.util.module_from_spec(specification)
    sys.modules["of_ranks"] = loaded
    specification.loader.exec_module(loaded)
    with joined_ranks(torch.device("cpu"), timeout_s=LIMIT_S) as ranks:
        torch.save(getattr(loaded, name)(ranks, **json.loads(options)), result)


if __name__ == "__main__":
    _main(*sys.argv[1:])
