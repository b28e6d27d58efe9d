"""Events that remember what they are told."""

from autoseg.events import Silent


class Heard(Silent):
    """Remembers every message.

    Attributes:
        infos: what was worth knowing.
        warnings: what was warned of.
        said: both, in the order in which they came.
    """

    def __init__(self) -> None:
        self.infos: list[str] = []
        self.warnings: list[str] = []
        self.said: list[str] = []

    def info(self, message: str) -> None:
        self.infos.append(message)
        self.said.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)
        self.said.append(message)
