"""The picture: panels of rows; a row is a name, marks on the panel's scale and a value in words.

Pure geometry: what the panels show is decided in panels.py, what they look like in svg.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bench import svg

WIDTH = 1000
MARGIN = 24
PLOT_LEFT, PLOT_RIGHT = 360, 740
VALUES = 754
BAR, DOT = 12, 5
ROW, DETAILED_ROW = 24, 40
TITLE, HEADING, FOOT, GAP = 72, 44, 22, 18
LONGEST_NAME = 52
"""Characters that fit into the left column."""


class Tone(StrEnum):
    OURS = "ours"
    REFERENCE = "reference"
    OVER = "over"


@dataclass(frozen=True, kw_only=True)
class Bar:
    """From one place of the scale to another, both 0 to 1."""

    start: float
    end: float
    tone: Tone = Tone.OURS
    thin: bool = False


@dataclass(frozen=True, kw_only=True)
class Dot:
    at: float
    tone: Tone = Tone.OURS


@dataclass(frozen=True, kw_only=True)
class Row:
    name: str
    value: str
    marks: tuple[Bar | Dot, ...]
    detail: str = ""
    """A second line below the name …"""
    value_detail: str = ""
    """… and one below the value, only beside the other."""


@dataclass(frozen=True, kw_only=True)
class Guide:
    """A vertical line through all rows, with its meaning below."""

    at: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    heading: str
    remark: str
    rows: tuple[Row, ...]
    guides: tuple[Guide, ...] = ()


def draw(title: str, subtitle: str, panels: Sequence[Panel]) -> str:
    """The whole picture as SVG."""
    drawn: list[str] = [
        svg.words(title, x=MARGIN, y=38, class_="title"),
        svg.words(subtitle, x=MARGIN, y=58, class_="muted"),
    ]
    top = float(TITLE)
    for panel in panels:
        drawn += _panel(panel, top)
        top += height(panel)
    return svg.document(*drawn, width=WIDTH, height=top, title=title)


def height(panel: Panel) -> float:
    """Of a panel with the space below it."""
    return HEADING + sum(map(_height, panel.rows)) + FOOT + GAP


def shorten(name: str) -> str:
    """A name that fits into its column."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1].rstrip()}…"


def _panel(panel: Panel, top: float) -> Iterator[str]:
    yield svg.words(panel.heading, x=MARGIN, y=top + 16, class_="heading")
    yield svg.words(panel.remark, x=MARGIN, y=top + 34, class_="muted")
    first = top + HEADING
    last = first + sum(map(_height, panel.rows))
    for guide in panel.guides:
        x = _x(guide.at)
        yield svg.element("line", x1=x, y1=first, x2=x, y2=last + 4, class_="grid")
        yield svg.words(guide.text, x=x, y=last + 17, class_="muted", text_anchor="middle")
    for row in panel.rows:
        yield from _row(row, first)
        first += _height(row)


def _row(row: Row, top: float) -> Iterator[str]:
    baseline, middle = top + 16, top + 12
    yield svg.words(shorten(row.name), x=MARGIN, y=baseline)
    if row.detail:
        yield svg.words(shorten(row.detail), x=MARGIN, y=baseline + 16, class_="muted")
    yield from (_mark(mark, middle) for mark in row.marks)
    yield svg.words(row.value, x=VALUES, y=baseline)
    if row.value_detail:
        yield svg.words(row.value_detail, x=VALUES, y=baseline + 16, class_="muted")


def _mark(mark: Bar | Dot, middle: float) -> str:
    match mark:
        case Bar():
            thickness = 2 if mark.thin else BAR
            left, right = sorted((_x(mark.start), _x(mark.end)))
            return svg.element(
                "rect",
                x=left,
                y=middle - thickness / 2,
                # what is measured is there, however small
                width=max(right - left, 1.5),
                height=thickness,
                rx=0 if mark.thin else 2,
                class_=mark.tone,
            )
        case Dot():
            return svg.element("circle", cx=_x(mark.at), cy=middle, r=DOT, class_=mark.tone)


def _x(place: float) -> float:
    return PLOT_LEFT + min(max(place, 0.0), 1.0) * (PLOT_RIGHT - PLOT_LEFT)


def _height(row: Row) -> float:
    return DETAILED_ROW if row.detail else ROW
