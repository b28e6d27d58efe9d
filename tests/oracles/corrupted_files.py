"""What fuzzing a format of single files takes: intact files, ways to corrupt them, a reader and a judge."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from autoseg.errors import AutosegError
from autoseg.images.image import Image


@dataclass(frozen=True)
class ReadCorrupted(ABC):
    """Reads corrupted files by number.

    Attributes:
        folder: where they are written to, one after the other.
        seed: of what is done to them.
    """

    file_name: ClassVar[str]
    folder: Path
    seed: int

    @abstractmethod
    def intact(self) -> Mapping[str, bytes]:
        """Files that say what they should; the first word of their names is what outcomes are counted by."""

    @abstractmethod
    def corrupt(self, content: bytes, generator: Generator) -> bytes:
        """Change a file somehow."""

    @abstractmethod
    def read(self, path: Path) -> Image:
        """Read a file with the package."""

    @abstractmethod
    def judge(self, found: Image, content: bytes) -> str:
        """Require that what was read is what the file says; how to count it."""

    def prepare(self) -> None:
        """Read every intact file, which must be what it says."""
        for name, content in self._intact.items():
            assert self._outcome(content) == "accepted", name

    def __call__(self, number: int) -> str:
        """Read one; says how it ended."""
        generator = np.random.default_rng((self.seed, number))
        name = str(generator.choice(list(self._intact)))
        return f"{self._outcome(self.corrupt(self._intact[name], generator))} {name.partition(' ')[0]}"

    @cached_property
    def _intact(self) -> Mapping[str, bytes]:
        return self.intact()

    def _outcome(self, content: bytes) -> str:
        path = self.folder / self.file_name
        path.write_bytes(content)
        try:
            found = self.read(path)
        except AutosegError as refused:
            if not (refused.remedy and refused.where):
                raise
            return "refused"
        return self.judge(found, content)
