"""Which of several networks a run starts from, and with which weights: networks that have learnt nothing, but say so."""

import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from autoseg.data.splits import Fold
from autoseg.errors import BundleError, UsageError
from autoseg.model.bundle import load_bundle, save_bundle
from autoseg.model.description import Provenance, read_document
from autoseg.model.identity import ModelId
from autoseg.networks import build_network
from autoseg.planning.plan import Plan
from autoseg.runs.starts import StartingModel, choose_start, learnt_cases
from autoseg.runs.targets import Target
from autoseg.training.config import TrainConfig
from autoseg.training.start import RATE_FACTOR

MakePlan = Callable[..., Plan]
A, B, C = ("a" * 64, "b" * 64, "c" * 64)
VIEWS = [{}, {"plane": "coronal"}]


@pytest.fixture
def model(make_plan: MakePlan, tmp_path: Path) -> Callable[..., StartingModel]:
    """Stores a network that says what it learnt from."""

    def store(name: str, *, scans: Any = (), plan: Plan | None = None, **place: Any) -> StartingModel:
        plan, place = plan or make_plan(), {"architecture": "unet", "fold": "0", **place}
        network = build_network(place["architecture"], in_channels=plan.input_channels, classes=2, size=plan.network)
        made = {"seed": 0, "precision": "float32", "epochs": 1, "minutes": 0.1, "scans": scans}
        provenance = Provenance.model_validate({"versions": {}, "training_cases": (), "validation_cases": (), **made})
        save_bundle(tmp_path / name, network, model=ModelId(**place), plan=plan, provenance=provenance)
        return StartingModel(read_document(tmp_path / name), name, partial(load_bundle, tmp_path / name))

    return store


def target(*held_out: str, **place: Any) -> Target:
    return Target(ModelId(**{"architecture": "unet", "fold": "0", **place}), Fold(training=("other",), validation=held_out))


def test_the_first_that_is_known_not_to_have_learnt_from_held_out_cases(
    make_plan: MakePlan, model: Callable[..., StartingModel]
) -> None:
    models = [model("unknown", scans=None), model("learnt", scans=(A, B)), model("first", scans=(B,)), model("last")]
    choose = partial(choose_start, models, plan=make_plan())
    assert choose(target("x", "y"), scans={"x": A, "y": C}).place == "first"
    assert choose(target("x"), scans={"x": B}).place == "last"
    assert choose(target(), scans={}).place == "unknown"  # nothing is held out
    assert choose_start(models[:2], target("x"), plan=make_plan(), scans={"x": A}).place == "unknown"
    with pytest.raises(UsageError, match=r"unet, fold 0: the model to start from has learnt from .*: x") as refused:
        choose_start(models[1:3], target("x", "y"), plan=make_plan(), scans={"x": B, "y": C})
    assert refused.value.where == "learnt"


def test_what_cannot_be_told(model: Callable[..., StartingModel]) -> None:
    known, unknown = model("known", scans=(A,)), model("unknown", scans=None)
    assert learnt_cases(known, target("x", "y"), {"x": A, "y": B}) == ("x",)
    assert learnt_cases(known, target("x"), {"x": B}) == ()
    assert learnt_cases(known, target("x"), {"x": None}) is None
    assert learnt_cases(known, target("x", "y"), {"x": None, "y": A}) == ("y",)
    assert learnt_cases(unknown, target("x"), {"x": B}) is None
    assert learnt_cases(unknown, target(), {}) == ()


def test_each_view_has_a_network_of_its_own_else_one_that_sees_all(
    make_plan: MakePlan, model: Callable[..., StartingModel]
) -> None:
    plan = make_plan(views=VIEWS, network={"shared_by_views": False})
    models = [model("all"), model("axial", plan=plan, view="axial"), model("coronal", plan=plan, view="coronal")]
    for view in ("axial", "coronal"):
        assert choose_start(models, target(view=view), plan=plan, scans={}).place == view
        assert choose_start(models[:1], target(view=view), plan=plan, scans={}).place == "all"
    with pytest.raises(UsageError, match="another network than the run's") as refused:
        choose_start(models[1:2], target(view="coronal"), plan=plan, scans={})
    assert (refused.value.expected, refused.value.found) == ("unet of coronal slices", "unet of axial slices")
    with pytest.raises(UsageError, match="of its kind"):
        choose_start(models[1:], target(), plan=make_plan(), scans={})


def test_another_process_can_read_it_and_starts_the_same(make_plan: MakePlan, model: Callable[..., StartingModel]) -> None:
    here, config = model("a", scans=(B, C)), TrainConfig(architecture="unet", fold="0", precision="float32")
    there: StartingModel = pickle.loads(pickle.dumps(here))  # noqa: S301 - as executors do
    start, same = (each.start(make_plan(), config) for each in (here, there))
    assert start.origin == same.origin
    assert start.origin.learnt_from == (B, C)
    assert start.rate_factor == RATE_FACTOR
    assert all(torch.equal(tensor, same.state[name]) for name, tensor in start.state.items())
    weights = load_bundle(Path(here.read.args[0])).network.state_dict()  # type: ignore[attr-defined]  # a partial
    assert all(torch.equal(tensor, start.state[name]) for name, tensor in weights.items())


def test_seeds_share_what_is_kept_and_draw_what_is_new(make_plan: MakePlan, model: Callable[..., StartingModel]) -> None:
    classes = [{"value": 0, "name": "background"}, {"value": 2, "name": "square"}]
    plan, here = make_plan(data={"classes": classes}), model("a")
    config = TrainConfig(architecture="unet", fold="0", precision="float32")
    assert here.start(plan, config).rate_factor == 1.0  # what is new learns as from nothing
    configs = [TrainConfig(architecture="unet", fold="0", precision="float32", seed=seed) for seed in (0, 0, 1)]
    one, again, other = (here.start(plan, config).state for config in configs)
    differing = {name for name, tensor in one.items() if not torch.equal(tensor, other[name])}
    assert differing
    assert all(name.startswith("heads.") for name in differing)
    assert all(torch.equal(tensor, again[name]) for name, tensor in one.items())


def test_a_model_that_was_replaced_meanwhile_is_refused(make_plan: MakePlan, model: Callable[..., StartingModel]) -> None:
    before = model("a")
    torch.manual_seed(5)
    model("a")
    with pytest.raises(BundleError, match="has changed since the command began"):
        before.start(make_plan(), TrainConfig(architecture="unet", fold="0", precision="float32"))
