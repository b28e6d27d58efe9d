"""Which devices the runs of a command use: one for each run at a time where there are several runs."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from autoseg.catalogue import DeviceChoice
from autoseg.errors import UsageError
from autoseg.events import Events
from autoseg.model.compute import Compute


def runs_at_a_time(jobs: int | Literal["auto"], *, runs: int, devices: int) -> int:
    """How many runs are in work at a time here: as many as were asked for; `auto`: one on each device."""
    return min(devices if jobs == "auto" else jobs, runs)


def devices_of_runs(
    computes: Sequence[Compute], *, choice: DeviceChoice, runs: int, jobs: int, events: Events
) -> tuple[Compute, ...]:
    """The devices that are used; runs at a time take them in turn, so that none has two runs more than another.

    A single run uses all of those that were named; elsewhere it has one.

    Args:
        computes: the devices that were asked for.
        choice: how they were asked for.
        runs: how many there are in all.
        jobs: how many are in work at a time.
        events: told of devices that several runs share, or that have nothing to do though they were named.

    Raises:
        UsageError: a single run elsewhere was to use several.
    """
    if runs == 1 and choice.is_list:
        if not computes:
            raise UsageError(
                "a single run on several devices takes place on this machine alone",
                found=f"--device {choice} with another executor",
                remedy="Name one device, or start its processes with torchrun (docs/how-to/several-gpus.md).",
            )
        return tuple(computes)
    used = tuple(computes[:jobs])
    if not used:  # they take place elsewhere, on the devices there
        return ()
    if jobs > len(used) and (len(used) > 1 or used[0].device.type != "cpu"):
        shares = Counter(str(used[slot % len(used)].device) for slot in range(jobs))
        on_each = ", ".join(f"{number} on {name}" for name, number in shares.items())
        events.info(f"{jobs} runs at a time share what there is: {on_each}")
    if idle := [str(compute.device) for compute in computes[jobs:]] if choice.is_list else []:
        events.info(f"{', '.join(idle)}: nothing to do with --jobs {jobs}")
    return used
