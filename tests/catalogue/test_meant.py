import pytest

from autoseg.catalogue.meant import meant, meant_device

COMMANDS = ["plan", "check", "preprocess", "train", "predict", "queue", "adopt", "evaluate", "compare", "select", "report",
            "export", "info", "clean", "status", "doctor", "demo"]  # fmt: skip
DEVICES = ["auto", "cpu", "cuda", "mps"]
PLANES = ["axial", "coronal", "sagittal"]
FLAGS = ["--workspace", "-w", "--output", "--memory", "--force", "--jobs", "--device", "--data", "--no-mirror"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("gpu", "cuda"),
        ("GPU", "cuda"),
        ("gpus", "cuda"),
        ("cuda0", "cuda:0"),
        ("GPU:0", "cuda:0"),
        ("gpu 1", "cuda:1"),
        ("cuda:01", "cuda:1"),
        ("0", "cuda:0"),
        ("gpu:0, 2", "cuda:0,2"),
        ("metal", "mps"),
        ("CPU", "cpu"),
        ("cpus", "cpu"),
        ("auot", "auto"),
        ("tpu", None),
        ("xpu", None),
        ("", None),
        (0, "cuda:0"),
        (7, "cuda:7"),
        ([0, 2], "cuda:0,2"),
        (("0", "1"), "cuda:0,1"),
        (["gpu"], "cuda"),
        (-1, None),  # what other tools call the CPU
        ("-1", None),
        (True, None),
        ([True], None),
        (0.0, None),
        ([], None),
        (None, None),
    ],
)
def test_devices(written: object, expected: str | None) -> None:
    assert meant_device(written, DEVICES) == expected


@pytest.mark.parametrize(
    ("written", "known", "expected"),
    [
        ("trian", COMMANDS, "train"),
        ("eval", COMMANDS, "evaluate"),
        ("predictions", COMMANDS, "predict"),
        ("segment", COMMANDS, "predict"),  # by its letters it is like `select`
        ("infer", COMMANDS, "predict"),  # like `info`
        ("score", COMMANDS, "evaluate"),  # like `compare`
        ("delete", COMMANDS, "clean"),  # like `select`
        ("remove", COMMANDS, "clean"),  # like `demo`, which makes its folder again
        ("import", COMMANDS, None),  # like `report`
        ("start", COMMANDS, None),  # like `status`
        ("re", COMMANDS, None),
        ("horizontal", PLANES, "axial"),  # like `coronal`
        ("frontal", PLANES, "coronal"),
        ("Axial", PLANES, "axial"),
        ("cor", PLANES, "coronal"),
        ("--workspce", FLAGS, "--workspace"),
        ("--out", FLAGS, "--output"),
        ("--gpu", FLAGS, "--device"),
        ("--overwrite", FLAGS, "--force"),
        ("--tta", FLAGS, None),  # like `--data`
        ("segment", PLANES, None),
    ],
)
def test_words(written: str, known: list[str], expected: str | None) -> None:
    assert meant(written, known) == expected
