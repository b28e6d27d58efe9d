"""Weights of one network for another of the same sizes that reads other channels, or tells other classes apart.

Which tensors belong to channels and to classes is found by building the network with one more of each. This works for any
network, those of packages among them; nothing is drawn or computed for it, because tensors have nothing but shapes there.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autoseg.catalogue import Architecture
from autoseg.errors import UsageError
from autoseg.networks import build_network
from autoseg.planning.plan import Plan
from autoseg.planning.sections import NetworkSection

_PIXELS = 4
"""Numbers in a row that each channel and class has where 2x2 pixels become one, by the stem `space_to_depth`."""

_Shapes = Mapping[str, tuple[int, ...]]
_ANOTHER = "Start from another model, or train from nothing, without --init."


@dataclass(frozen=True)
class Transfer:
    """How weights of one network become those of another.

    Attributes:
        channels: for each of its input channels the same one of the other network; None: that one does not read it.
        classes: for each of its logits the other's, where both tell the same classes apart; empty: they do not.
        at_channels: the axis that channels lie along, of each tensor that depends on their number; by name.
        at_classes: likewise for classes.
        each: numbers in a row that a channel or a class has along that axis.
        of: input channels of the other network.
    """

    channels: tuple[int | None, ...]
    classes: tuple[int, ...]
    at_channels: Mapping[str, int]
    at_classes: Mapping[str, int]
    each: int
    of: int

    @property
    def channels_kept(self) -> bool:
        """Whether the first layer stays what it was, but for the order of channels."""
        return None not in self.channels and len(self.channels) == self.of

    @property
    def classes_kept(self) -> bool:
        """Whether the last layers stay what they were, but for the order of classes."""
        return bool(self.classes)

    def __call__(self, weights: Mapping[str, Tensor], drawn: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the other network for this one.

        Args:
            weights: all that the other network holds, by name.
            drawn: all that this one holds before it has learnt: what is new in it stays as it is here.
        """
        return {name: self._adapted(name, tensor, drawn[name]) for name, tensor in weights.items()}

    def _adapted(self, name: str, tensor: Tensor, drawn: Tensor) -> Tensor:
        if name in self.at_classes and not self.classes:
            return drawn
        if name in self.at_classes:
            tensor = self._in_order(tensor, self.at_classes[name], self.classes)
        if name in self.at_channels:
            tensor = self._for_channels(tensor, self.at_channels[name])
        return tensor.clone()

    def _in_order(self, tensor: Tensor, axis: int, order: Sequence[int]) -> Tensor:
        index = [self.each * number + pixel for number in order for pixel in range(self.each)]
        return tensor.index_select(axis, torch.tensor(index))

    def _for_channels(self, tensor: Tensor, axis: int) -> Tensor:
        """The weights of each channel; for one that the other network does not read the mean of those that it reads.

        Where both read other channels, all are scaled by their numbers, so that channels that show the same give together
        what they gave before.
        """
        shape = tuple(tensor.shape)
        known = tensor.reshape(*shape[:axis], self.of, self.each, *shape[axis + 1 :])
        mean = known.mean(dim=axis)
        each = [mean if number is None else known.select(axis, number) for number in self.channels]
        scale = 1.0 if self.channels_kept else self.of / len(self.channels)
        return (torch.stack(each, dim=axis) * scale).flatten(axis, axis + 1)


def transfer(architecture: Architecture, *, before: Plan, plan: Plan, where: str) -> Transfer:
    """Find out how weights of a network that was trained under one plan become those of a network of another.

    Channels are the same where they have the same names and, where slices are shown together, the same places; classes where
    they have the same names. Regions and classes that exclude one another are not the same.

    Args:
        architecture: of both networks.
        before: the plan of the network that is there, as that network sees it.
        plan: of the one that is to start from it, likewise.
        where: the model that is there, as errors name it.

    Raises:
        UsageError: the networks differ in more than channels and classes, or it cannot be told what belongs to these.
    """
    channels, logits = plan.input_channels, plan.data.encoding.logits
    shapes = _shapes(architecture, plan.network, channels=channels, logits=logits)
    if shapes != _shapes(architecture, before.network, channels=channels, logits=logits):
        raise _other_sizes(architecture, before.network, plan.network, where=where)
    of, each = before.input_channels, _PIXELS if plan.network.stem == "space_to_depth" else 1
    same_channels, same_classes = _same_channels(plan, before), _same_classes(plan, before)
    at_channels, at_classes = dict[str, int](), dict[str, int]()
    if same_channels != tuple(range(of)):
        more = _shapes(architecture, plan.network, channels=channels + 1, logits=logits)
        at_channels = _axes(shapes, more, number=channels, each=each, what="input channels", where=where)
    if same_classes != tuple(range(logits)):
        more = _shapes(architecture, plan.network, channels=channels, logits=logits + 1)
        at_classes = _axes(shapes, more, number=logits, each=each, what="classes", where=where)
    return Transfer(same_channels, same_classes, at_channels, at_classes, each=each, of=of)


def _channels(plan: Plan) -> list[tuple[str, int]]:
    """Name and place among adjacent slices of every input channel."""
    around = plan.views[0].adjacent_slices
    return [(name, place) for name in plan.data.channels for place in range(-around, around + 1)]


def _same_channels(plan: Plan, before: Plan) -> tuple[int | None, ...]:
    """For each input channel of a plan the same one of the plan before; None: it has none."""
    known = {channel: number for number, channel in enumerate(_channels(before))}
    return tuple(known.get(channel) for channel in _channels(plan))


def _same_classes(plan: Plan, before: Plan) -> tuple[int, ...]:
    """For each logit of a plan the one of the plan before that stands for the same class; empty: the classes are others."""
    now, then = _logits(plan), _logits(before)
    same = set(now) == set(then) and plan.data.encoding.exclusive == before.data.encoding.exclusive
    return tuple(then.index(name) for name in now) if same else ()


def _logits(plan: Plan) -> list[str]:
    """Name of the class of every logit."""
    names = [label.name for label in plan.data.classes]
    return names[len(names) - plan.data.encoding.logits :]


def _shapes(architecture: Architecture, size: NetworkSection, *, channels: int, logits: int) -> _Shapes:
    with torch.device("meta"):  # allocates and draws nothing
        network = build_network(architecture, in_channels=channels, classes=logits, size=size)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _axes(shapes: _Shapes, more: _Shapes, *, number: int, each: int, what: str, where: str) -> dict[str, int]:
    """The axis that channels or classes lie along, of every tensor that is larger with one more of them.

    Raises:
        UsageError: a tensor changes in another way.
    """
    found = {}
    changed = sorted(name for name in shapes.keys() | more.keys() if shapes.get(name) != more.get(name))
    for name in changed:
        shape, larger = shapes.get(name, ()), more.get(name, ())
        axes = [axis for axis, sides in enumerate(zip(shape, larger, strict=False)) if sides[0] != sides[1]]
        sides = [(shape[axis], larger[axis]) for axis in axes]
        if len(shape) != len(larger) or sides != [(each * number, each * (number + 1))]:
            raise _not_told(what, name, where)
        found[name] = axes[0]
    if not found:
        raise _not_told(what, "none", where)
    return found


def _not_told(what: str, name: str, where: str) -> UsageError:
    return UsageError(
        f"its {what} are others than the plan's, and it cannot be told which of its weights belong to them",
        where=where,
        expected=f"tensors that have one number for each of the {what} along one axis",
        found=name[:100],
        remedy=_ANOTHER,
    )


def _other_sizes(architecture: Architecture, before: NetworkSection, now: NetworkSection, *, where: str) -> UsageError:
    """What keeps weights from fitting."""
    was, is_ = (size.model_dump(mode="json", exclude={"shared_by_views"}) for size in (before, now))
    differing = [key for key in was if was[key] != is_[key]]
    asked = " ".join(f"--set 'network.{key}={_value(was[key])}'" for key in differing)
    return UsageError(
        f"a `{architecture}` of other sizes than the plan's: a run cannot start from it",
        where=where,
        expected=", ".join(f"network.{key} {_value(is_[key])}" for key in differing),
        found=", ".join(f"network.{key} {_value(was[key])}" for key in differing),
        remedy=f"Plan with the sizes of that model (`autoseg plan DATASET {asked}`), or start from another model.",
    )


def _value(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
