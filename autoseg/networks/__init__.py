"""The networks a plan may name. A new one is a module of its own and one line in the table."""

from typing import Final, Protocol

from autoseg import catalogue
from autoseg.networks.attention import AttentionUNet
from autoseg.networks.blocks import SegmentationNetwork
from autoseg.networks.sepres import SepResUNet
from autoseg.networks.unet import UNet
from autoseg.planning.plan import NetworkSection


class Architecture(Protocol):
    """What an entry of the table offers: a title to show, and a network when called."""

    @property
    def title(self) -> str:
        """Name for people: in tables, figures and reports."""

    def __call__(self, *, in_channels: int, classes: int, size: NetworkSection) -> SegmentationNetwork:
        """Build the network."""


ARCHITECTURES: Final[dict[catalogue.Architecture, Architecture]] = {
    "unet": UNet,
    "sepres": SepResUNet,
    "attention": AttentionUNet,
}


def build_network(
    architecture: catalogue.Architecture, *, in_channels: int, classes: int, size: NetworkSection
) -> SegmentationNetwork:
    """Build a network with fresh weights, drawn from torch's current generator: seed that for equal weights.

    Args:
        architecture: key of `ARCHITECTURES`.
        in_channels: channels of a slice.
        classes: classes to tell apart, background included.
        size: the plan's network section.

    Returns:
        The network, in training mode, on the CPU, float32.
    """
    return ARCHITECTURES[architecture](in_channels=in_channels, classes=classes, size=size)
