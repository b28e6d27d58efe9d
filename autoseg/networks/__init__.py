"""Networks, built from what a plan says. Which there are stands in `autoseg.catalogue.NETWORKS`."""

from autoseg import catalogue
from autoseg.errors import ExtensionError
from autoseg.networks.blocks import SegmentationNetwork
from autoseg.networks.space_to_depth import at_half_resolution
from autoseg.planning.plan import Plan
from autoseg.planning.sections import NetworkSection


def network_of(plan: Plan, architecture: catalogue.Architecture) -> SegmentationNetwork:
    """Build the network that a plan asks for: `build_network` with its channels, logits and size.

    Args:
        plan: how networks are built, and what they see: that of one view where each has a network of its own.
        architecture: key of `autoseg.catalogue.NETWORKS`.

    Raises:
        UnknownNameError: there is no such network.
        ExtensionError: it comes from another package, which cannot be used.
    """
    return build_network(architecture, in_channels=plan.input_channels, classes=plan.data.encoding.logits, size=plan.network)


def build_network(
    architecture: catalogue.Architecture, *, in_channels: int, classes: int, size: NetworkSection
) -> SegmentationNetwork:
    """Build a network with fresh weights, drawn from torch's current generator: seed that for equal weights.

    Args:
        architecture: key of `autoseg.catalogue.NETWORKS`.
        in_channels: channels of a slice.
        classes: classes to tell apart, background included.
        size: the plan's network section.

    Returns:
        The network, in training mode, on the CPU, float32.

    Raises:
        UnknownNameError: there is no such network.
        ExtensionError: it comes from another package, which cannot be used.
    """
    rearranged = size.stem == "space_to_depth"
    pixels = 4 if rearranged else 1  # of which the network sees one
    network = catalogue.NETWORKS.build(
        architecture, in_channels=pixels * in_channels, classes=pixels * classes, size=size.inside
    )
    if not isinstance(network, SegmentationNetwork):
        raise ExtensionError(
            f"what stands for the network `{architecture}` is no network",
            where=catalogue.NETWORKS[architecture].implementation,
            expected="a subclass of autoseg.networks.blocks.SegmentationNetwork",
            found=type(network).__name__,
            remedy="Derive it from that class.",
        )
    return at_half_resolution(network, divisor=size.divisor) if rearranged else network
