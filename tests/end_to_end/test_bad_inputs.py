"""The project's list of bad inputs, row by row, through the installed command: exit codes, messages, and what is left.

Each row corrupts a home of its own (see `oracles.bad_inputs`) and says what every command that can meet it does. A new row
is one entry.
"""

import json
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from oracles import bad_inputs as bad
from oracles.bad_inputs import RAN, Home
from oracles.commands import autoseg
from oracles.processes import Answer, finish, start
from oracles.restricted import as_ordinary_user, ordinary_user

from autoseg.images.image import read_labels

CHECK, PLAN = "check data --jobs 1", "plan data -w other --jobs 1"
TRAIN = "train -w run --fold 1 --epochs 1 --precision float32"
PREDICT = "predict data/Training_Set/IBSR_02 out -w run --precision float32"
EXPORTED = "predict data/Test_Set out --model model.autoseg --precision float32"

REFUSED: Mapping[str, int] = {CHECK: 3, PLAN: 3}
ACCEPTED: Mapping[str, int] = {CHECK: 0, PLAN: 0}
IN_THE_PLAN: Mapping[str, int] = {TRAIN: 4, "preprocess -w run": 4}
IN_THE_FOLDS: Mapping[str, int] = {TRAIN: 5, "select -w run": 5}
SERIES: Mapping[str, int] = {"predict dicom out -w run --precision float32": 7}
IN_A_MODEL: Mapping[str, int] = {PREDICT: 6, "export again.autoseg -w run": 6}
IN_AN_EXPORTED_MODEL: Mapping[str, int] = {EXPORTED: 6, "info model.autoseg": 6}

CROWD: Mapping[str, str] = {
    "check": "check data --jobs 2",
    "train": "train -w run --fold 0 --epochs 1 --precision float32",
    "predict": "predict data/Training_Set out --model ../kept/model.autoseg --precision float32",
    "evaluate predictions": "evaluate judged good -o scores",
    "evaluate references": "evaluate good judged -o scores",
}
"""Commands that meet many odd cases at once: one for each row, each corrupted in its own way, and good ones."""

A_SCAN = ("check", "train", "predict")
A_LABEL_MAP = ("check", "train", "evaluate predictions", "evaluate references")
IN_TRAINING = ("check", "train")
EVERYTHING = tuple(CROWD)


@dataclass(frozen=True)
class Row:
    """A bad input.

    Attributes:
        number: of the row in the list.
        corrupt: makes it.
        commands: exit code by command.
        says: words that each command's message holds; none where it has nothing to say.
        crowd: which of `CROWD` treat a case that is corrupted like this likewise among others: refuse it in the same words,
            or accept it.
    """

    number: int
    corrupt: Callable[[Home], None]
    commands: Mapping[str, int]
    says: tuple[str, ...] = ()
    crowd: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.number}-{self.corrupt.__name__}"

    @property
    def refused(self) -> bool:
        return max(self.commands.values()) > 0


ROWS = (
    Row(1, bad.cut_in_half, REFUSED, ("IBSR_02.nii.gz", "cut off", "expected", "bytes", "found"), A_SCAN),
    Row(2, bad.flip_a_bit, REFUSED, ("IBSR_02.nii.gz", "damaged"), A_SCAN),
    Row(3, bad.wrong_crc, REFUSED, ("IBSR_02.nii.gz", "checksum"), A_SCAN),
    Row(4, bad.empty, REFUSED, ("IBSR_02.nii.gz", "the file is empty"), A_SCAN),
    Row(5, bad.short_raw_data, REFUSED, ("IBSR_02.nii.gz", "expected", "bytes", "found"), A_SCAN),
    Row(6, bad.plain_behind_a_compressed_name, ACCEPTED, ("IBSR_02", "plain NIfTI"), EVERYTHING),
    Row(7, bad.a_web_page, REFUSED, ("IBSR_02.nii.gz", "not an image", "<html>"), A_SCAN),
    Row(8, bad.two_volumes, REFUSED, ("IBSR_02.nii.gz", "2 volumes", "which one"), A_SCAN),
    Row(8, bad.one_volume_of_four_axes, ACCEPTED, (), EVERYTHING),
    Row(9, bad.nan_voxels, REFUSED, ("IBSR_02.nii.gz", "1 NaN or infinite", "(Z, Y, X)"), A_SCAN),
    Row(9, bad.infinite_voxels, REFUSED, ("IBSR_02.nii.gz", "1 NaN or infinite", "(Z, Y, X)"), A_SCAN),
    Row(
        9,
        bad.nan_voxels,
        {
            "check data --not-finite zero": 0,
            "plan data -w other --not-finite zero": 0,
            f"{PREDICT} --not-finite zero": 0,
        },
        ("IBSR_02", "1 NaN or infinite voxel taken for 0"),
    ),
    Row(10, bad.constant, {**REFUSED, PREDICT: 0}, ("IBSR_02", "same value"), IN_TRAINING),
    Row(11, bad.undeclared_label, REFUSED, ("IBSR_02_seg.nii.gz", "77", "5"), IN_TRAINING),
    Row(11, bad.negative_label, REFUSED, ("IBSR_02_seg.nii.gz", "-3", "5"), A_LABEL_MAP),
    Row(12, bad.fractional_labels, REFUSED, ("IBSR_02_seg.nii.gz", "whole"), A_LABEL_MAP),
    Row(12, bad.whole_labels_as_floats, ACCEPTED, (), EVERYTHING),
    Row(12, bad.labels_scaled_to_16_bits, ACCEPTED, ("IBSR_02", "beside whole numbers, by at most 0.001"), EVERYTHING),
    Row(13, bad.labels_of_64_bits, ACCEPTED, (), EVERYTHING),
    Row(14, bad.an_empty_label_map, ACCEPTED, ("IBSR_02", "empty"), EVERYTHING),
    Row(15, bad.other_shape, REFUSED, ("IBSR_02_seg.nii.gz", "shape"), A_LABEL_MAP),
    Row(15, bad.other_spacing, REFUSED, ("IBSR_02_seg.nii.gz", "spacing", "tolerance"), A_LABEL_MAP),
    Row(15, bad.other_origin, REFUSED, ("IBSR_02_seg.nii.gz", "origin", "tolerance"), A_LABEL_MAP),
    Row(15, bad.beside_fine_voxels, REFUSED, ("IBSR_02_seg.nii.gz", "origin", "9 voxels apart", "tolerance"), IN_TRAINING),
    Row(15, bad.other_direction, REFUSED, ("IBSR_02_seg.nii.gz", "direction", "tolerance"), A_LABEL_MAP),
    Row(16, bad.oblique, {**ACCEPTED, PREDICT: 0}, ("IBSR_02", "tilted by 20 degrees about inferior-superior"), A_SCAN),
    Row(16, bad.beyond_45_degrees, {**ACCEPTED, PREDICT: 0}, ("IBSR_02", "tilted by -44 degrees"), A_SCAN),
    Row(17, bad.sheared, REFUSED, ("IBSR_02.nii.gz", "right angles", "set_qform"), A_SCAN),
    Row(18, bad.two_forms_that_disagree, ACCEPTED, ("IBSR_02", "qform", "sform"), EVERYTHING),
    Row(18, bad.forms_of_which_one_agrees, ACCEPTED, ("IBSR_02", "its qform agrees with"), EVERYTHING),
    Row(19, bad.spacing_of_zero, REFUSED, ("IBSR_02.nii.gz", "spacing", "found 0.0"), A_SCAN),
    Row(19, bad.negative_spacing, REFUSED, ("IBSR_02.nii.gz", "spacing", "found -1.0"), A_SCAN),
    Row(19, bad.spacing_that_is_no_number, REFUSED, ("IBSR_02.nii.gz", "spacing", "found nan"), A_SCAN),
    Row(20, bad.a_single_slice, ACCEPTED, (), A_SCAN),
    Row(21, bad.colour_voxels, REFUSED, ("IBSR_02.nii.gz", "colours, where one grey value per pixel is expected"), A_SCAN),
    Row(21, bad.grey_stored_as_colours, ACCEPTED, ("IBSR_02", "grey values stored as colours"), A_SCAN),
    Row(21, bad.complex_voxels, REFUSED, ("IBSR_02.nii.gz", "neither a scalar image nor colours", "complex"), A_SCAN),
    Row(22, bad.a_universe_of_voxels, REFUSED, ("IBSR_02.nii.gz", "bytes"), A_SCAN),
    Row(23, bad.negative_dimension, REFUSED, ("IBSR_02.nii.gz", "size", "-5"), A_SCAN),
    Row(23, bad.absurd_offset, REFUSED, ("IBSR_02.nii.gz", "bytes"), A_SCAN),
    Row(24, bad.a_huge_tail, REFUSED, ("IBSR_02.nii.gz", "more data than the header accounts for"), A_SCAN),
    Row(25, bad.a_picture, {"predict pictures out -w run --precision float32": 0}, ("scan", "PNG", "spacing")),
    Row(
        25, bad.a_colour_picture, {"predict pictures out -w run --precision float32": 7}, ("scan", "colours, where one grey")
    ),
    Row(26, bad.a_dicom_series, {"predict dicom out -w run --precision float32": 0}),
    Row(26, bad.a_series_without_a_slice, SERIES, ("the series lacks 1 slice", "expected", "mm", "dcm2niix")),
    Row(26, bad.a_series_with_a_slice_cut_off, SERIES, ("IM0003", "should have 1920 bytes, 1420 are left")),
    Row(26, bad.a_series_with_two_sizes_of_pixels, SERIES, ("IM0003", "differ in the size of their pixels", "found 2, 2")),
    Row(26, bad.a_series_that_announces_gigabytes, SERIES, ("IM0003", "should have 4043309040 bytes")),
    Row(26, bad.a_dicom_series, {"check dicom": 3, "plan dicom": 3}, ("dicom", "no layout fits", "Arrange the folder")),
    Row(26, bad.a_folder_for_a_file, REFUSED, ("IBSR_02",)),
    Row(26, bad.a_series_for_a_file, {**ACCEPTED, PREDICT: 0}),
    Row(
        27,
        bad.an_unusual_name,
        {
            "check 'meine Köpfe 頭/IBSR 18' --jobs 1": 0,
            "plan 'meine Köpfe 頭/IBSR 18' -w 'größe 1' --jobs 1": 0,
            "predict 'meine Köpfe 頭/IBSR 18/Training_Set/IBSR_äé 頭 2' 'ergebnis ü' -w run": 0,
        },
    ),
    Row(28, bad.a_broken_link, {**REFUSED, TRAIN: 3, PREDICT: 7}, ("IBSR_02.nii.gz", "broken link")),
    Row(28, bad.a_looping_link, {**REFUSED, TRAIN: 3, PREDICT: 7}, ("IBSR_02.nii.gz", "broken link")),
    Row(29, bad.one_case, {"plan data -w other": 0}),
    Row(29, bad.two_cases, {"plan data -w other --folds 5": 2}, ("--folds 5", "1 to 2 folds", "leave it out")),
    Row(29, bad.a_class_in_one_case_only, {CHECK: 0, PLAN: 0}, ("fold", "no training case has label 1")),
    Row(30, bad.the_same_id_twice, {CHECK: 3, PLAN: 3, PREDICT: 7}, ("IBSR_02.nii", "IBSR_02.nii.gz")),
    Row(
        31,
        bad.an_unreadable_file,
        {**REFUSED, TRAIN: 7, PREDICT: 7},
        ("IBSR_02.nii.gz", "cannot be read", "Permission denied"),
    ),
    Row(31, bad.a_read_only_workspace, {TRAIN: 9, "preprocess -w run": 9}, ("cannot be written", "permissions")),
    Row(
        31,
        bad.a_read_only_place,
        {
            "plan data -w locked/run": 9,
            "predict data/Test_Set locked/out -w run --precision float32": 9,
            "export locked/model.autoseg -w run": 9,
            "report -w run -o locked/report": 9,
            "evaluate good good -o locked/scores": 9,
            "demo --folder locked/demo": 9,
        },
        ("locked", "cannot be written", "permissions"),
    ),
    Row(
        31,
        bad.a_file_in_the_place_of_a_folder,
        {"plan data -w locked/run": 9, "predict data/Test_Set locked/out -w run --precision float32": 9},
        ("locked", "cannot be written"),
    ),
    Row(32, bad.a_run_that_goes_on, {TRAIN: 5}, ("fold_1", "in use by process", "Wait")),
    Row(32, bad.a_plan_in_the_making, {PLAN: 5}, ("other", "in use by process", "Wait")),
    Row(33, bad.a_pickle_for_weights, IN_A_MODEL, ("weights-", "not a safetensors file")),
    Row(33, bad.a_pickle_for_an_exported_model, IN_AN_EXPORTED_MODEL, ("model.autoseg", "not an exported model")),
    Row(33, bad.a_pickle_for_an_array, {TRAIN: 5}, (".image.npy", "cannot be read")),
    Row(34, bad.an_archive_that_climbs, IN_AN_EXPORTED_MODEL, ("model.autoseg",)),
    Row(34, bad.an_archive_with_an_absolute_name, IN_AN_EXPORTED_MODEL, ("model.autoseg",)),
    Row(34, bad.an_archive_with_a_link, IN_AN_EXPORTED_MODEL, ("model.autoseg",)),
    Row(34, bad.an_archive_that_is_a_bomb, IN_AN_EXPORTED_MODEL, ("model.autoseg",)),
    Row(36, bad.no_label, {**REFUSED, TRAIN: 3}, ("IBSR_02",)),
    Row(36, bad.no_image, {**REFUSED, TRAIN: 3}, ("IBSR_02",)),
    Row(37, bad.two_channels_for_one, {"predict scans/both.nii.gz out -w run": 7}, ("both.nii.gz", "2", "1")),
    Row(38, bad.unknown_key, IN_THE_PLAN, ("plan.json", "training.learning_rat")),
    Row(38, bad.wrong_type, IN_THE_PLAN, ("plan.json", "views.0.batch_size", "whole number", "many")),
    Row(38, bad.unknown_choice, IN_THE_PLAN, ("plan.json", "training.loss", "cross_entropy, dice", "hinge")),
    Row(38, bad.indivisible_patch, IN_THE_PLAN, ("plan.json", "patch_px of views", "multiples of 4")),
    Row(38, bad.one_weight_for_many_classes, IN_THE_PLAN, ("plan.json", "training.class_weights", "4 entries")),
    Row(38, bad.a_plane_for_none, {TRAIN: 7, "preprocess -w run": 7}, ("a volume", "plane", "is null")),
    Row(38, bad.a_case_on_both_sides, IN_THE_FOLDS, ("splits.json", "fold 1 has subjects in training and in validation")),
    Row(38, bad.an_unknown_case_in_a_fold, IN_THE_FOLDS, ("splits.json", "fold 0", "IBSR_99")),
    Row(38, bad.a_fold_of_nothing, IN_THE_FOLDS, ("splits.json", "fold 1 has no training cases")),
    Row(38, bad.no_plan_at_all, IN_THE_PLAN, ("plan.json", "not a JSON document")),
    Row(39, bad.one_bit_of_the_weights, IN_A_MODEL, ("weights-", "have changed", "sha256")),
    Row(
        39, bad.one_bit_of_the_checkpoint, {TRAIN.replace("fold 1", "fold 0"): 6}, ("checkpoint-", "have changed", "sha256")
    ),
    Row(39, bad.one_bit_of_an_array, {TRAIN: 5}, ("IBSR_02", ".image.npy", "has changed", "sha256")),
    Row(40, bad.a_newer_model, IN_A_MODEL, ("bundle.json", "newer", "99", "Update")),
    Row(40, bad.a_newer_exported_model, IN_AN_EXPORTED_MODEL, ("model.autoseg", "newer", "99", "Update")),
)


ONE_OF_EACH_KIND = tuple({row.number: row for row in reversed(ROWS)}.values())


def run(command: str, home: Path, *, expect: int = 0) -> Answer:
    with ordinary_user():
        return autoseg(*shlex.split(command), "--json", cwd=home, expect=expect)


def in_turn(commands: Mapping[str, int], home: Path) -> dict[str, Answer]:
    return {command: run(command, home, expect=code) for command, code in commands.items()}


def as_processes(commands: Mapping[str, int], home: Path) -> dict[str, Answer]:
    """All of them at the same time."""
    running = {
        command: start(
            *shlex.split(command),
            "--json",
            cwd=home,
            surroundings=as_ordinary_user,
            environment={"OMP_NUM_THREADS": "1"},
        )
        for command in commands
    }
    with ExitStack() as ended:
        for process in running.values():
            ended.enter_context(process)
            ended.callback(process.kill)  # where another ends otherwise than expected
        return {command: finish(running[command], expect=code) for command, code in commands.items()}


@pytest.fixture(scope="module")
def story(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home before anything is corrupted."""
    root = tmp_path_factory.mktemp("bad") / "home"
    shutil.copytree(cohort, root / "data")
    (root / "good").mkdir()
    shutil.copy(root / "data" / "Training_Set" / "IBSR_02" / "IBSR_02_seg.nii.gz", root / "good")
    for command in (
        "plan data -w run --folds 2 --jobs 1",
        "train -w run --fold 0 --epochs 1 --precision float32",
        "export model.autoseg -w run",
    ):
        run(command, root)
    shutil.copytree(root, root.with_name("kept"), symlinks=True)
    return root


@pytest.fixture
def home(story: Path) -> Iterator[Home]:
    """The story's home, made again at the same place, because a workspace remembers where its data lie."""
    shutil.rmtree(story)
    shutil.copytree(story.with_name("kept"), story, symlinks=True)
    with ExitStack() as while_running:
        yield Home(story, while_running)


def failures_in(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The single failures that a command tells about as JSON."""
    several = [*document.get("problems", ()), *document.get("failures", {}).values()]
    return several or [document]


def check_failure(failure: Mapping[str, Any], *, says: tuple[str, ...]) -> None:
    """A failure names its place and a cure, and says what it should."""
    assert failure["where"], f"no place: {failure}"
    assert failure["remedy"].endswith("."), f"no cure: {failure}"
    message = "{where}: {what}; expected {expected}; found {found}. {remedy}".format(**failure)
    for words in says:
        assert words in message


def described(row: Row) -> str:
    return f"{row.name}-{max(row.commands.values())}"


@pytest.mark.parametrize("row", ROWS, ids=described)
def test_what_the_commands_do_with_it(row: Row, home: Home) -> None:
    check_row(row, home, run_all=in_turn)


@pytest.mark.gate
@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, marks=() if number % 8 == 0 else pytest.mark.slow)  # the gate has twenty minutes for everything
        for number, row in enumerate(ONE_OF_EACH_KIND)
    ],
    ids=described,
)
def test_what_the_installed_commands_do_with_it(row: Row, home: Home) -> None:
    check_row(row, home, run_all=as_processes)


def check_row(row: Row, home: Home, *, run_all: Callable[[Mapping[str, int], Path], dict[str, Answer]]) -> None:
    row.corrupt(home)
    answers = run_all(row.commands, home.root)
    for command, code in row.commands.items():
        answer = answers[command]
        for words in row.says:
            assert words in answer.said, f"{command}: {answer.said}"
        if code:
            assert answer.document["exit_code"] == code
            for failure in failures_in(answer.document):
                check_failure(failure, says=())
    refused = {command.split()[0] for command, code in row.commands.items() if code}
    assert not ("plan" in refused and (home.root / "other" / "plan.json").exists())
    assert not ("predict" in refused and list((home.root / "out").glob("*.nii.gz")))
    assert not (home.root / RAN).exists()
    assert not list(home.root.parent.glob("outside*"))


IN_THE_CROWD = tuple(row for row in ROWS if row.crowd)
Answers = Mapping[str, tuple[str, Mapping[str, list[dict[str, Any]]]]]
"""What each command of `CROWD` said, and the failures it told about, by case."""


def case_of(row: Row) -> str:
    """A case for every row, called so that the layout is recognised."""
    return f"IBSR_{20 + IN_THE_CROWD.index(row)}"


def gathered(story: Path, folder: str, rows: Sequence[Row], *, refused: bool) -> Answers:
    """Let every command of `CROWD` meet one case for each row."""
    root = story.with_name(folder)
    cases = root / "data" / "Training_Set"
    shutil.copytree(story.with_name("kept") / "data", root / "data")
    for row in rows:
        shutil.copytree(cases / "IBSR_02", cases / case_of(row))
        for path in (cases / case_of(row)).iterdir():
            path.rename(path.with_name(path.name.replace("IBSR_02", case_of(row))))
    copy_label_maps(cases, root / "good")
    run("plan data -w run --folds 2 --jobs 1", root)
    with ExitStack() as while_running:
        for row in rows:
            row.corrupt(Home(root, while_running, case_of(row)))
        copy_label_maps(cases, root / "judged")
        found = {}
        for name, command in CROWD.items():
            answer = run(command, root, expect=(3 if name == "check" else 7) if refused else 0)
            found[name] = answer.said, by_case(answer.document)
    return found


def copy_label_maps(cases: Path, folder: Path) -> None:
    """Those that `evaluate` is to meet."""
    others = {case_of(row) for row in IN_THE_CROWD if "evaluate references" not in row.crowd}
    folder.mkdir()
    for path in cases.glob("*/*_seg.nii.gz"):
        if path.parent.name not in others:
            shutil.copy(path, folder)


def by_case(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The single failures that a command tells about as JSON, by case."""
    found: dict[str, list[dict[str, Any]]] = {}
    for problem in document.get("problems", ()):
        found.setdefault(problem["case"], []).append(problem)
    return found or {case: [failure] for case, failure in document.get("failures", {}).items()}


@pytest.fixture(scope="module")
def bad_crowd(story: Path) -> Answers:
    return gathered(story, "bad_crowd", [row for row in IN_THE_CROWD if row.refused], refused=True)


@pytest.fixture(scope="module")
def odd_crowd(story: Path) -> Answers:
    return gathered(story, "odd_crowd", [row for row in IN_THE_CROWD if not row.refused], refused=False)


@pytest.mark.parametrize("row", [row for row in IN_THE_CROWD if row.refused], ids=lambda row: row.name)
def test_each_of_many_bad_cases_is_named(row: Row, bad_crowd: Answers) -> None:
    case = case_of(row)
    says = tuple(words.replace("IBSR_02", case) for words in row.says)
    for command in row.crowd:
        (failure,) = bad_crowd[command][1][case]
        check_failure(failure, says=says)


def test_good_cases_among_bad_ones_are_not_blamed(bad_crowd: Answers) -> None:
    for command, (_, failures) in bad_crowd.items():
        assert failures.keys() == {case_of(row) for row in IN_THE_CROWD if row.refused and command in row.crowd}, command


@pytest.mark.parametrize("row", [row for row in IN_THE_CROWD if not row.refused], ids=lambda row: row.name)
def test_each_of_many_odd_cases_is_used(row: Row, odd_crowd: Answers, story: Path) -> None:
    case, root = case_of(row), story.with_name("odd_crowd")
    for words in row.says:
        assert words.replace("IBSR_02", case) in odd_crowd["check"][0]
    assert (root / "out" / f"{case}.nii.gz").exists()
    splits = json.loads((root / "run" / "splits.json").read_text(encoding="utf-8"))
    assert case in str(splits["folds"])  # and training came to its end
    assert (f"\n{case}," in (root / "scores" / "metrics.csv").read_text(encoding="utf-8")) == (
        "evaluate references" in row.crowd
    )


def test_a_good_scan_beside_a_bad_one_is_segmented(home: Home) -> None:
    bad.cut_in_half(home)
    run("predict data/Training_Set out -w run --precision float32", home.root, expect=7)
    good = {folder.name for folder in home.cases.iterdir()} - {"IBSR_02"}
    assert {path.name.removesuffix(".nii.gz") for path in (home.root / "out").glob("*.nii.gz")} == good


def test_a_slanted_scan_gets_a_label_map_on_its_own_grid(home: Home) -> None:
    bad.oblique(home)
    run(PREDICT, home.root)
    geometry = read_labels(home.root / "out" / "IBSR_02.nii.gz").geometry
    assert not geometry.difference(read_labels(home.label).geometry)


def test_everything_predicted_lies_where_its_scan_does_by_both_forms(home: Home) -> None:
    bad.two_forms_that_disagree(home)
    run(f"{PREDICT} --probabilities --uncertainty", home.root)
    run("predict data/Training_Set/IBSR_02 exported --model model.autoseg --precision float32", home.root)
    written = sorted(home.root.glob("out/**/*.nii.gz")) + sorted(home.root.glob("exported/*.nii.gz"))
    assert len(written) == 4
    for path in written:
        assert_placed_alike(path, home.image)


@pytest.mark.gate
def test_held_out_and_selected_label_maps_lie_where_their_scans_do_by_both_forms(home: Home) -> None:
    for folder in home.cases.iterdir():
        case = replace(home, case=folder.name)
        bad.two_forms_that_disagree(case)
        bad.forms_of_which_one_agrees(case)  # so that forms of the label maps would be found out
    run("plan data -w run --force --folds 2 --jobs 1", home.root)
    run("train -w run --fold 0 --epochs 1 --precision float32 --restart", home.root)
    run("select -w run --jobs 1", home.root)
    written = [*home.root.glob("run/models/*/*/validation/*.nii.gz"), *home.root.glob("run/selection/*.nii.gz")]
    assert len(written) == 2 * len({path.name for path in written}) > 0
    for path in written:
        name = path.name.removesuffix(".nii.gz")
        assert_placed_alike(path, home.cases / name / path.name)


def assert_placed_alike(path: Path, scan: Path) -> None:
    """By nibabel: the affine, both forms and both codes."""
    found, expected = nib.load(path), nib.load(scan)
    assert np.array_equal(found.affine, expected.affine)
    for name in ("qform", "sform"):
        (ours, code), (theirs, expected_code) = (getattr(image, f"get_{name}")(coded=True) for image in (found, expected))
        assert code == expected_code > 0
        assert np.array_equal(ours, theirs)


def test_two_classes_of_one_name_are_refused(home: Home) -> None:
    task = home.root / "Task01_Heads"
    for folder, path in (("imagesTr", home.image), ("labelsTr", home.label)):
        (task / folder).mkdir(parents=True)
        shutil.copy(path, task / folder / "IBSR_02.nii.gz")
    labels = {"0": "background", "1": "fluid", "2": "brain", "3": "brain"}
    description = {"modality": {"0": "MRI"}, "labels": labels}
    (task / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    assert "3: brain" in run("plan Task01_Heads", home.root, expect=3).said
