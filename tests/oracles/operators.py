"""What is asked of a device, told by the names of operators."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class AskedOperators(TorchDispatchMode):
    """Collects what is asked of the device."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.double: set[str] = set()
        self.paddings: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        results = func(*args, **(kwargs or {}))
        name = func._schema.name.partition("::")[2]
        self.names.add(name)
        if name == "grid_sampler_2d":
            self.paddings.add(args[3])
        if any(isinstance(each, torch.Tensor) and each.dtype == torch.float64 for each in _all_of(results)):
            self.double.add(name)
        return results


def _all_of(results: Any) -> Sequence[Any]:
    return results if isinstance(results, tuple | list) else (results,)
