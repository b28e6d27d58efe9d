"""Two and three ranks that are real processes: what they tell one another, and what they learn from their parts of a batch,
which is what one process learns from the whole."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from oracles.spawned_ranks import on_ranks
from torch import nn

from autoseg import catalogue
from autoseg.errors import ExtensionError
from autoseg.model.compute import Compute
from autoseg.planning.plan import Plan
from autoseg.training.batches import TrainingBatch
from autoseg.training.global_norm import with_global_statistics
from autoseg.training.learner import Learner
from autoseg.training.ranks import ALONE, Imagined, Ranks, own_part

MakePlan = Callable[..., Plan]
CPU: Final = Compute(torch.device("cpu"), bfloat16=False)
IMAGES: Final = 5
"""Of a batch: two ranks have 3 and 2 of them, three have 2, 2 and 1."""

BASE: Final = {"network": "unet", "loss": "cross_entropy_dice", "deep_supervision": True}
CASES: Final = {
    **{
        f"{network}, {loss}": {"network": network, "loss": loss, "deep_supervision": True}
        for network in ("unet", "sepres", "attention")
        for loss in ("cross_entropy", "dice", "cross_entropy_dice")
    },
    "one level": {**BASE, "deep_supervision": False},
    "half resolution": {**BASE, "half_resolution": True},
    "half-resolution stem": {**BASE, "stem": "space_to_depth"},
    "adjacent slices": {**BASE, "network": "attention", "adjacent_slices": 1},
    "channels last": {**BASE, "network": "sepres", "layout": "channels_last"},
    "a network of another package": {**BASE, "network": "assorted"},
    "a loss of another package": {**BASE, "loss": "hardest"},
    "another loss of another package": {**BASE, "loss": "dice-of-images", "deep_supervision": False},
    "network and loss of another package": {**BASE, "network": "assorted", "loss": "hardest", "half_resolution": True},
}
"""What is learnt from, by name. Networks and losses of autoseg are all here: see below."""

PACKAGE: Final = '''
import torch
from torch import nn
from torch.nn import functional as F

from autoseg.catalogue import LossEntry, NetworkEntry
from autoseg.networks.blocks import Heads, SegmentationNetwork


class Assorted(SegmentationNetwork):
    """Normalises in many ways, one of them twice, and has a weight that nothing uses."""

    def __init__(self, *, in_channels, classes, size):
        super().__init__()
        width = size.features[0]
        self.unused = nn.Linear(2, 2)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, width, 3, padding=1) for before in (in_channels, *[width] * 5)
        )
        twice = nn.BatchNorm2d(width, momentum=0.3)
        self.norms = nn.ModuleList(
            [nn.BatchNorm2d(width, momentum=None), twice, nn.BatchNorm2d(width, affine=False, eps=1e-3),
             nn.GroupNorm(2, width), nn.InstanceNorm2d(width), twice]
        )
        self.of_volumes = nn.BatchNorm3d(width, track_running_stats=False)
        self.of_images = nn.BatchNorm1d(width)
        self.heads = Heads([width], classes, deep_supervision=False)

    def forward_levels(self, slices):
        for convolution, norm in zip(self.convolutions, self.norms):
            slices = F.relu(norm(convolution(slices)))
        slices = self.of_volumes(slices[:, :, None])[:, :, 0]
        gates = torch.sigmoid(self.of_images(slices.mean(dim=(2, 3))))
        return self.heads([slices * gates[:, :, None, None]])


class Refused(Assorted):
    def __init__(self, **options):
        super().__init__(**options)
        self.norms[4] = nn.InstanceNorm2d(options["size"].features[0], track_running_stats=True)


def hardest(weights, encoding):
    """The mean over the worst tenth of a batch's pixels: no sum over parts of the batch says which these are."""

    def loss(logits, target):
        pixels = F.cross_entropy(logits, target, weight=weights, reduction="none").flatten()
        return pixels.topk(len(pixels) // 10).values.mean()

    return loss


def of_images(weights, encoding):
    """The mean over images of 1 - Dice."""

    def loss(logits, target):
        probabilities, reference = encoding.probabilities(logits), encoding.memberships(target, dtype=logits.dtype)
        overlap, size = (probabilities * reference).sum(dim=(2, 3)), (probabilities + reference).sum(dim=(2, 3))
        return (1 - 2 * overlap / (size + 1)).mean()

    return loss


ASSORTED = NetworkEntry("assortment:Assorted", "Assorted", "assorted layers")
REFUSED = NetworkEntry("assortment:Refused", "Refused", "assorted layers")
HARDEST = LossEntry("assortment:hardest", "the loss of the hardest pixels")
OF_IMAGES = LossEntry("assortment:of_images", "the mean Dice loss of images")
'''

POINTS: Final = """
[autoseg.networks]
assorted = assortment:ASSORTED
refused = assortment:REFUSED
[autoseg.losses]
hardest = assortment:HARDEST
dice-of-images = assortment:OF_IMAGES
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Installs another package with networks and losses, for this process and those that it starts."""
    root = tmp_path / "site"
    info = root / "assortment-1.0.dist-info"
    info.mkdir(parents=True)
    (root / "assortment.py").write_text(PACKAGE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: assortment\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(root)
        _forget_packages()
        yield
    sys.modules.pop("assortment", None)
    _forget_packages()


def _forget_packages() -> None:
    for table in (catalogue.NETWORKS, catalogue.LOSSES):
        table.__dict__.pop("_registered", None)
        table._loaded.clear()


def plan_of(make_plan: MakePlan, case: Mapping[str, Any], *, grad_clip_norm: float | None = None) -> Plan:
    classes = [{"value": value, "name": f"class {value}"} for value in range(4)]
    plan = make_plan(
        data={"channels": ["T1"], "classes": classes},
        view={"adjacent_slices": case.get("adjacent_slices", 0), "patch_px": [16, 24]},
        network={
            "features": [4, 6, 8],
            "convolutions": 1,
            "deep_supervision": case["deep_supervision"],
            "stem": case.get("stem", "plain"),
        },
        training={"class_weights": [0.3, 1.0, 2.0, 5.0], "grad_clip_norm": grad_clip_norm},
    )
    return plan.model_copy(update={"training": plan.training.model_copy(update={"loss": case["loss"]})})


def batch_of(plan: Plan, ranks: Ranks, *, seed: int = 0) -> TrainingBatch:
    """This rank's images; the last image alone has the last class."""
    generator = torch.Generator().manual_seed(seed)
    images = 2 + 3 * torch.randn(IMAGES, plan.input_channels, *plan.views[0].patch_px, generator=generator)
    labels = torch.randint(0, 3, (IMAGES, *plan.views[0].patch_px), generator=generator)
    labels[-1, 3:9, 5:15] = 3
    part = own_part(IMAGES, ranks)
    mine = slice(part.start, part.stop)
    return TrainingBatch(images[mine], labels[mine], ())


def learner_of(plan: Plan, ranks: Ranks, *, network: str, layout: Any = None) -> Learner:
    torch.manual_seed(ranks.rank)  # what the others draw does not matter
    return Learner(plan, architecture=network, compute=replace(CPU, layout=layout), ranks=ranks)


def weights_of(learner: Learner) -> torch.Tensor:
    return torch.cat([weights.detach().flatten() for weights in learner.network.parameters()])


def learnt(plan: Plan, case: Mapping[str, Any], ranks: Ranks) -> dict[str, torch.Tensor]:
    """What one step computes."""
    learner = learner_of(plan, ranks, network=case["network"], layout=case.get("layout"))
    begun = weights_of(learner)
    result = learner.step(batch_of(plan, ranks), rate=1e-3, half_resolution=case.get("half_resolution", False))
    gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in learner.network.parameters()]
    return {
        "begun": begun,
        "gradient": torch.cat([gradient.flatten() for gradient in gradients]),
        "statistics": torch.cat([each.flatten().double() for each in learner.network.buffers()]),
        "loss": result.loss,
        "counts": result.counts,
    }


def several_steps(plan: Plan, ranks: Ranks) -> dict[str, Any]:
    """A short run with all that may change on its way."""
    learner = learner_of(plan, ranks, network="unet")
    losses = []
    for number, layout in enumerate(["contiguous", "contiguous", "channels_last", "channels_last", "contiguous"]):
        learner.use_memory_format(layout)  # type: ignore[arg-type]
        losses.append(learner.step(batch_of(plan, ranks, seed=number), rate=1e-3, half_resolution=number < 2).loss)
    state = learner.network.state_dict()
    return {"losses": torch.stack(losses), "weights": state, "names": list(state), "moments": learner.optimiser.state_dict()}


def disagreements(plan: Plan, ranks: Ranks) -> dict[str, Any]:
    """What all say where one rank sees something else."""
    learner = learner_of(plan, ranks, network="unet")
    levels_of, begun = learner._levels_of, {name: value.clone() for name, value in learner.network.state_dict().items()}
    said: dict[str, Any] = {"fits": learner.fits_into_memory(plan.views[0])}

    def full(images: torch.Tensor, target: torch.Tensor, **options: Any) -> list[torch.Tensor]:
        if ranks.rank == 1:
            raise torch.OutOfMemoryError
        return levels_of(images, target, **options)

    learner._levels_of = full  # type: ignore[method-assign]
    said["does not fit"] = learner.fits_into_memory(plan.views[0])
    learner._levels_of = levels_of  # type: ignore[method-assign]
    said["unchanged"] = all(torch.equal(value, begun[name]) for name, value in learner.network.state_dict().items())
    said["finite"] = learner.all_finite
    learner.step(batch_of(plan, ranks), rate=1e-3)  # the ranks meet again
    said["weights"] = weights_of(learner)
    if ranks.rank == 1:
        with torch.no_grad():
            next(learner.network.parameters()).view(-1)[0] = torch.inf
    said["not finite"] = learner.all_finite
    learner.agree()
    said["agreed"] = weights_of(learner)
    return said


def far_from_zero(ranks: Ranks) -> float:
    """Relative error of a variance that is tiny beside the mean, of ranks whose means differ."""
    generator = torch.Generator().manual_seed(0)
    features = [1000 + number / 50 + torch.randn(2, 1, 40, 50, generator=generator) / 100 for number in range(ranks.size)]
    norm = nn.Sequential(nn.BatchNorm2d(1, momentum=1.0))
    with_global_statistics(norm, ranks)
    norm(features[ranks.rank])
    expected = torch.cat(features).double().var()
    return float((norm.get_buffer("0.running_var")[0] - expected).abs() / expected)


SAID: Final = {"rate": 0.1 + 0.2, "text": "Größe", "nothing": None, "list": [1, -(2**60), True], "nan": float("nan")}


def told(ranks: Ranks) -> dict[str, Any]:
    """All that ranks can ask of one another, called on each."""
    mine = torch.tensor([1.0 + ranks.rank, 10.0], requires_grad=True)
    total = ranks.total(mine)
    (total * torch.tensor([1.0, 1.0 + ranks.rank])).sum().backward()  # ranks make different things of the sum
    first = ranks.from_first(torch.full((2, 3), float(ranks.rank)))
    said = ranks.from_first(SAID if ranks.is_first else f"rank {ranks.rank} is not asked")
    counts = torch.full((2,), 2**40 + ranks.rank)
    transposed = torch.arange(6.0).reshape(2, 3).T + ranks.rank
    ranks.barrier()
    return {
        "size": ranks.size,
        "total": total.detach(),
        "gradient": mine.grad,
        "sum": ranks.sum(counts),
        "untouched": counts,
        "stacked": ranks.stacked(transposed),
        "first": first,
        "said": repr(said),
        "gathered": ranks.gathered({"mine": "x" * ranks.rank}),
        "tensors": ranks.gathered(torch.tensor(ranks.rank)),
    }


def learnt_by(ranks: Ranks, *, cases: Mapping[str, Any], plans: Mapping[str, Any], run: Any) -> dict[str, Any]:
    """What a rank has learnt, of every case and by a run."""
    found = {name: learnt(Plan.model_validate(plans[name]), case, ranks) for name, case in cases.items()}
    return {"cases": found, "run": several_steps(Plan.model_validate(run), ranks)}


def everything(ranks: Ranks, *, run: Any, **options: Any) -> dict[str, Any]:
    """All of this on one rank; a process group that costs seconds is made once."""
    return {
        "told": told(ranks),
        **learnt_by(ranks, run=run, **options),
        "said": disagreements(Plan.model_validate(run), ranks),
        "far from zero": far_from_zero(ranks),
    }


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Relative, of the norms."""
    return float((found.double() - expected.double()).norm() / expected.double().norm())


@pytest.mark.gate
def test_ranks_learn_what_one_process_learns_from_the_whole_batch(
    make_plan: MakePlan, package: None, tmp_path: Path
) -> None:
    plans = {name: plan_of(make_plan, case).model_dump(mode="json") for name, case in CASES.items()}
    options = {"cases": CASES, "plans": plans, "run": plan_of(make_plan, BASE, grad_clip_norm=0.5).model_dump(mode="json")}
    alone = learnt_by(ALONE, **options)
    for size, ranks in on_ranks(everything, 2, 3, folder=tmp_path / "ranks", **options).items():
        for name in CASES:
            _check_case([rank["cases"][name] for rank in ranks], alone["cases"][name], name=f"{size} ranks: {name}")
        _check_run([rank["run"] for rank in ranks], alone["run"])
        _check_told([rank["told"] for rank in ranks])
        _check_disagreements([rank["said"] for rank in ranks])
        for rank in ranks:
            assert rank["far from zero"] < 1e-3


def _check_case(ranks: Sequence[Mapping[str, torch.Tensor]], expected: Mapping[str, torch.Tensor], *, name: str) -> None:
    for found in ranks:
        assert torch.equal(found["begun"], expected["begun"]), name
        assert difference(found["gradient"], expected["gradient"]) < 1e-5, name
        assert difference(found["statistics"], expected["statistics"]) < 1e-6, name
        assert difference(found["loss"], expected["loss"]) < 1e-6, name
        assert torch.equal(found["counts"][2], expected["counts"][2]), name  # the references
        assert (found["counts"] - expected["counts"]).abs().sum() <= 4, name  # a pixel may lie between two classes
        assert all(torch.equal(value, ranks[0][key]) for key, value in found.items()), name


def _check_told(ranks: Sequence[Mapping[str, Any]]) -> None:
    size, numbers = len(ranks), range(len(ranks))
    for rank, heard in enumerate(ranks):
        assert heard["size"] == size
        assert heard["total"].tolist() == [sum(1.0 + each for each in numbers), 10.0 * size]
        assert heard["gradient"].tolist() == [size, sum(1.0 + each for each in numbers)]
        assert heard["sum"].tolist() == [size * 2**40 + sum(numbers)] * 2
        assert heard["untouched"].tolist() == [2**40 + rank] * 2
        expected = torch.arange(6.0).reshape(2, 3).T
        assert torch.equal(heard["stacked"], torch.stack([expected + each for each in numbers]))
        assert torch.equal(heard["first"], torch.zeros(2, 3))
        assert heard["said"] == repr(SAID)
        assert heard["gathered"] == [{"mine": "x" * each} for each in numbers]
        assert torch.stack(heard["tensors"]).tolist() == list(numbers)


def _check_disagreements(ranks: Sequence[Mapping[str, Any]]) -> None:
    for said in ranks:
        assert {key: value for key, value in said.items() if key not in ("weights", "agreed")} == {
            "fits": True, "does not fit": False, "unchanged": True, "finite": True, "not finite": False,
        }  # fmt: skip
        assert torch.equal(said["weights"], ranks[0]["weights"])
        assert torch.equal(said["agreed"], ranks[0]["weights"])


def _check_run(runs: Sequence[Mapping[str, Any]], alone: Mapping[str, Any]) -> None:
    """After several steps: equal bits on all ranks, and what one process has but for rounding."""
    for run in runs:
        assert run["names"] == alone["names"]
        assert torch.allclose(run["losses"], alone["losses"], rtol=1e-3)
        for name, values in run["weights"].items():
            assert torch.equal(values, runs[0]["weights"][name]), name
            assert values.stride() == alone["weights"][name].stride(), name
        for number, moments in run["moments"]["state"].items():
            assert all(torch.equal(value, runs[0]["moments"]["state"][number][key]) for key, value in moments.items())


def test_every_network_and_loss_is_among_the_cases() -> None:
    tried = {(case["network"], case["loss"]) for case in CASES.values()}
    assert {(network, loss) for network in catalogue.NETWORKS.built_in for loss in catalogue.LOSSES.built_in} <= tried


def test_a_layer_that_several_ranks_cannot_train_as_one_is_named(package: None, make_plan: MakePlan) -> None:
    plan = plan_of(make_plan, BASE)
    learner_of(plan, ALONE, network="refused")  # one process can
    with pytest.raises(ExtensionError, match=r"norms\.4: .* found torch\.nn\.modules\.instancenorm\.InstanceNorm2d"):
        learner_of(plan, Imagined(2), network="refused")
