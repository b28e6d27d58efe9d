"""One network on several ranks: the same weights on all, and gradients that are those of the whole batch."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from autoseg.networks.blocks import SegmentationNetwork
from autoseg.training.global_norm import use_ranks, with_global_statistics
from autoseg.training.ranks import Imagined, Ranks


class ParallelNetwork:
    """What this rank's images are passed through, so that its gradients become the mean over ranks.

    Args:
        network: of this rank, on its device; its batch normalisations become global, its weights those of rank 0.
        ranks: who trains it.

    Raises:
        ExtensionError: the network has layers that several ranks cannot train as one.
    """

    def __init__(self, network: SegmentationNetwork, ranks: Ranks) -> None:
        self._network, self._ranks = network, ranks
        with_global_statistics(network, ranks)
        self.agree()
        self.weights_moved()

    @torch.no_grad()
    def agree(self) -> None:
        """Give the network on every rank the weights and statistics of rank 0; every rank has to call this."""
        for values in self._network.state_dict().values():
            values.copy_(self._ranks.from_first(values))

    def weights_moved(self) -> None:
        """Reduce gradients in the memory format that the weights have now; every rank has to call this."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")  # by 2.13, for what 2.10 lacks
            self._reducing = DistributedDataParallel(
                _Levels(self._network),
                broadcast_buffers=False,  # they are equal already
                init_sync=False,  # weights likewise
                gradient_as_bucket_view=True,
                # Weights that nothing uses, as a network of another package may have, are waited for otherwise; and
                # gradients would be put together differently from the second step on, so that a run that went on had
                # other bits.
                find_unused_parameters=True,
            )

    def forward_levels(self, slices: Tensor) -> list[Tensor]:
        """As the network's own; only what comes from here has gradients of all ranks."""
        return cast(list[Tensor], self._reducing(slices))

    @contextmanager
    def imagined(self) -> Iterator[Ranks]:
        """Context in which the network itself runs as on all ranks, but none is asked: for trying a step alone."""
        ranks = Imagined(self._ranks.size)
        use_ranks(self._network, ranks)
        try:
            yield ranks
        finally:
            use_ranks(self._network, self._ranks)


class _Levels(nn.Module):
    """What DistributedDataParallel calls: it sees nothing but `forward`."""

    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__()
        self._network = network
        # Where all weights are used, torch warns that it need not have looked for others, past Python's filters.
        self._unused = nn.Parameter(torch.zeros(1, device=next(network.parameters()).device))

    def forward(self, slices: Tensor) -> list[Tensor]:
        return self._network.forward_levels(slices)
