"""How fast a machine learns: the pace of one small U-Net, the same on every machine."""

import time
from statistics import median
from typing import Final

import torch

from autoseg.catalogue import DeviceChoice
from autoseg.model.compute import choose_compute
from autoseg.networks import build_network
from autoseg.planning.budget import REFERENCE_FEATURES
from autoseg.planning.sections import NetworkSection

_SIZE: Final = NetworkSection(
    features=tuple(REFERENCE_FEATURES << level for level in range(4)),
    convolutions=2,
    expansion=2.0,
    skips="add",
    deep_supervision=False,
)
_BATCH: Final = (8, 1, 128, 128)
_WARM_UP: Final = 3
_FEWEST_STEPS: Final = 5
_SECONDS: Final = 2.0
"""Length of a measurement. Source: chosen; medians of two such measurements differ by less than the factor kept."""


def pixels_per_s(device: DeviceChoice | str = "auto") -> float:
    """Pixels that the network learns from in a second: the median over steps of two seconds.

    Raises:
        UsageError: the device is not there.
    """
    compute = choose_compute(device)
    network = compute.place(build_network("unet", in_channels=1, classes=2, size=_SIZE))
    optimiser = torch.optim.AdamW(network.parameters())
    images = compute.tensor(torch.randn(_BATCH))
    target = torch.randint(2, (_BATCH[0], *_BATCH[2:]), device=compute.device)
    taken_s: list[float] = []
    while len(taken_s) < _WARM_UP + _FEWEST_STEPS or sum(taken_s[_WARM_UP:]) < _SECONDS:
        started = time.perf_counter()
        with compute.autocast():
            logits = network.forward_levels(images)[0]  # (B, K, H, W)
        loss = torch.nn.functional.cross_entropy(logits.float(), target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        optimiser.step()
        float(loss.detach())  # waits for the device
        taken_s.append(time.perf_counter() - started)
    return images.numel() / median(taken_s[_WARM_UP:])
