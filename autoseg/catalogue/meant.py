"""Which of the known words somebody meant who wrote another."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final

_ALIKE: Final = 0.75
"""How much alike words are that are taken for each other, as `difflib` measures it. Source: chosen; slips in words of four
letters and more are above, `gpu` and `cpu`, `remove` and `demo`, `infer` and `info`, `score` and `compare` below."""

_SHORTEST: Final = 3
"""Letters of the shortest beginning that is taken for its word."""

_SYNONYMS: Final[dict[str, Sequence[str]]] = {
    "predict": ("segment", "infer", "inference", "apply"),
    "evaluate": ("score", "validate"),
    "train": ("fit",),
    "preprocess": ("prepare",),
    "clean": ("delete", "remove"),
    "adopt": ("correct",),
    "cuda": ("gpu", "gpus", "nvidia"),
    "mps": ("metal", "apple"),
    "axial": ("horizontal", "transverse", "transversal"),
    "coronal": ("frontal",),
    "sagittal": ("lateral",),
    "float32": ("fp32", "float", "single"),
    "bfloat16": ("bf16", "fp16", "half", "amp", "mixed"),
    "slurm": ("sbatch", "cluster"),
    "--device": ("--gpu", "--gpus", "--cuda"),
    "--force": ("--overwrite",),
}
"""What other tools, and people, call some of our words, which look like others of them or like none."""

_GPUS: Final = re.compile(r"(?:(?:cuda|gpus?|nvidia)[\s:_-]*)?(\d{1,4}(?:\s*,\s*\d{1,4})*)", re.ASCII)


def meant(word: object, known: Iterable[str]) -> str | None:
    """The known word that another name stands for, that begins like the word, or that looks like it; None where none does.

    Example:
        >>> meant("gpu", ["cpu", "cuda"]), meant("eval", ["evaluate"]), meant("axail", ["axial"]), meant("remove", ["demo"])
        ('cuda', 'evaluate', 'axial', None)
    """
    if not isinstance(word, str):
        return None
    word, known = word.strip().casefold(), list(known)
    if same := [each for each in known if each.casefold() == word or word in _SYNONYMS.get(each, ())]:
        return same[0]
    begun = [
        each
        for each in known
        if min(len(word.lstrip("-")), len(each.lstrip("-"))) >= _SHORTEST
        and (each.startswith(word) or word.startswith(each))
    ]
    alike = get_close_matches(word, known, n=1, cutoff=_ALIKE)
    return next(iter((alike or begun) if len(begun) != 1 else begun), None)


def meant_device(word: object, known: Iterable[str]) -> str | None:
    """The same for devices: for one, or for a list or tuple of them, GPUs by number among them.

    Example:
        >>> meant_device("cuda0", ["cpu", "cuda"]), meant_device("GPU:0, 1", ["cpu", "cuda"]), meant_device("tpu", ["cpu"])
        ('cuda:0', 'cuda:0,1', None)
        >>> meant_device(0, ["cpu", "cuda"]), meant_device([0, 1], ["cpu", "cuda"])
        ('cuda:0', 'cuda:0,1')
    """
    names = word if isinstance(word, list | tuple) else [word]
    if not all(isinstance(name, str | int) and not isinstance(name, bool) for name in names):
        return None
    word = ",".join(map(str, names))
    if found := _GPUS.fullmatch(word.strip().casefold()):
        return f"cuda:{','.join(str(int(number)) for number in found[1].split(','))}"
    return meant(word, known)
