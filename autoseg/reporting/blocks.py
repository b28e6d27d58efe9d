"""What the report's page is made of: blocks of text, tables, plots, pictures and scans to leaf through."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Final, Literal

from autoseg.reporting.pictures import Picture
from autoseg.reporting.svg import Markup
from autoseg.reporting.viewer import VolumeView

MOST_ROWS: Final = 200
"""Of a table of cases; a page of 10,000 rows is slow to open, and nobody reads them there. Source: chosen."""


@dataclass(frozen=True)
class Text:
    """Paragraphs."""

    kind: ClassVar[str] = "text"
    paragraphs: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Rows under headings; the first column names the row.

    Attributes:
        caption: what it shows.
        columns: headings.
        rows: as many cells each; a cell may have several lines.
        strong: cells (row, column) in bold type, from 0.
        words: whether cells hold sentences, which may be broken into lines.
        folded: whether it is closed until opened.
        sortable: whether readers may sort its rows, by each column, and filter them.
        shown_in: id of the block in which what the first column names can be looked at; empty: none.
        shown: what of the first column can be looked at there.

    Raises:
        ValueError: a row has more or fewer cells than there are columns.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    strong: frozenset[tuple[int, int]] = frozenset()
    words: bool = False
    folded: bool = False
    sortable: bool = False
    shown_in: str = ""
    shown: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                msg = f"{self.caption}: {len(row)} cells under {len(self.columns)} columns: {row}"
                raise ValueError(msg)

    @cached_property
    def numbers(self) -> frozenset[int]:
        """Columns of numbers, which stand to the right: not the first, and none without a single digit."""
        if self.words:
            return frozenset()
        return frozenset(
            column
            for column in range(1, len(self.columns))
            if any(character.isdigit() for row in self.rows for character in row[column])
        )


@dataclass(frozen=True)
class Plot:
    """One plot among several.

    Attributes:
        title: what it shows.
        svg: the plot.
    """

    title: str
    svg: Markup


@dataclass(frozen=True)
class Plots:
    """Plots side by side, explained together.

    Attributes:
        plots: at least one.
        legend: what stands beside each name, and the name.
        shows: one sentence: what they show.
        judge: one sentence: what good and bad look like, and what to do then.
        title: above them; empty for none.
    """

    kind: ClassVar[str] = "plots"
    plots: Sequence[Plot]
    legend: Sequence[tuple[Markup, str]]
    shows: str
    judge: str
    title: str = ""


@dataclass(frozen=True)
class Strip:
    """Pictures that belong together.

    Attributes:
        title: above them; empty for none.
        pictures: at least one.
    """

    title: str
    pictures: Sequence[Picture]

    @property
    def columns(self) -> str:
        """Widths of the pictures beside each other, as a page's style gives them."""
        return " ".join(f"{each.width:.3f}fr" for each in self.pictures)


@dataclass(frozen=True)
class Pictures:
    """Pictures of slices with classes over them.

    Attributes:
        strips: what is beside each other, and below.
        legend: colour and name of each class.
        shows: one sentence: what they show.
        judge: one sentence: what good and bad look like, and what to do then.
        gallery: whether the pictures of a strip are small ones, as many beside each other as fit.
    """

    kind: ClassVar[str] = "pictures"
    strips: Sequence[Strip]
    legend: Sequence[tuple[str, str]]
    shows: str
    judge: str
    gallery: bool = False


@dataclass(frozen=True)
class Viewer:
    """Scans to leaf through one at a time, with label maps over them.

    Attributes:
        title: what they are.
        views: each scan and its label maps, by its name; the first is shown at first.
        shows: one sentence: what it shows.
        judge: one sentence: what good and bad look like, and what to do then.
        notes: what is said of a scan in the list of all, by its name.
        id: for links; empty: nothing links to it.
    """

    kind: ClassVar[str] = "viewer"
    title: str
    views: Mapping[str, VolumeView]
    shows: str
    judge: str
    notes: Mapping[str, str] = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True)
class Judgement:
    """The judgement in words, and each class's beside it.

    Attributes:
        sentence: in words.
        classes: colour, name, number and judgement in a word or two.
        grade: of the whole: how it is marked.
        cards: the few numbers that matter most: value, what it is, and what it rests on.
    """

    kind: ClassVar[str] = "judgement"
    sentence: str
    classes: Sequence[tuple[str, str, str, str]] = ()
    grade: Literal["good", "doubtful", "poor", "none"] = "none"
    cards: Sequence[tuple[str, str, str]] = ()


@dataclass(frozen=True)
class Facts:
    """Pairs of a name and a value."""

    kind: ClassVar[str] = "facts"
    entries: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Copyable:
    """Text to be copied: commands, or a paragraph for a paper.

    Attributes:
        text: what is copied.
        label: what it is.
        code: whether it is shown as code.
        references: listed below it, copied with it.
    """

    kind: ClassVar[str] = "copyable"
    text: str
    label: str
    code: bool = False
    references: Sequence[str] = ()


@dataclass(frozen=True)
class Warnings:
    """What to know before believing the numbers; that there is nothing is said, too."""

    kind: ClassVar[str] = "warnings"
    lines: Sequence[str]


Block = Text | Table | Plots | Pictures | Viewer | Judgement | Facts | Copyable | Warnings
