"""The picture is SVG that any viewer reads, with everything inside its frame."""

from __future__ import annotations

from xml.etree import ElementTree

from bench.panels import panels
from bench.picture import LONGEST_NAME, PLOT_LEFT, PLOT_RIGHT, Bar, Panel, Row, draw, shorten
from tests.unit.bench.reports import full_report

NAMESPACE = "{http://www.w3.org/2000/svg}"


def drawn(*shown: Panel) -> ElementTree.Element:
    return ElementTree.fromstring(draw("title", "subtitle", shown))


def texts(picture: ElementTree.Element) -> list[str]:
    return [one.text or "" for one in picture.iter(f"{NAMESPACE}text")]


def bars(picture: ElementTree.Element) -> list[tuple[float, float]]:
    """Left and right end of every bar."""
    found = [one for one in picture.iter(f"{NAMESPACE}rect") if one.get("class") != "surface"]
    lefts = [float(one.get("x", "nan")) for one in found]
    return [(x, x + float(one.get("width", "nan"))) for x, one in zip(lefts, found, strict=True)]


def one_row(start: float, end: float) -> Panel:
    row = Row(name="row", value="1", marks=(Bar(start=start, end=end),))
    return Panel(heading="panel", remark="", rows=(row,))


def test_names_with_markup_in_them_are_only_text() -> None:
    assert "requests through <everything>" in texts(drawn(*panels(full_report())))


def test_every_figure_with_a_limit_or_a_reference_is_named() -> None:
    shown = texts(drawn(*panels(full_report())))

    for title in ("make up from nothing", "scale step", "preview", "the app itself"):
        assert title in shown


def test_it_has_colours_for_light_and_for_dark() -> None:
    assert "@media (prefers-color-scheme: dark)" in draw("title", "subtitle", ())


def test_bars_lie_between_the_ends_of_the_scale() -> None:
    [whole] = bars(drawn(one_row(0, 1)))
    [half] = bars(drawn(one_row(0.5, 1)))
    [beyond] = bars(drawn(one_row(-1, 2)))

    assert whole == (PLOT_LEFT, PLOT_RIGHT)
    assert half == ((PLOT_LEFT + PLOT_RIGHT) / 2, PLOT_RIGHT)
    assert beyond == whole


def test_the_smallest_bar_can_be_seen() -> None:
    [(left, right)] = bars(drawn(one_row(0, 0)))

    assert right - left > 1


def test_everything_is_inside_the_frame() -> None:
    picture = drawn(*panels(full_report()))

    bottom = max(float(one.get("y", "0")) for one in picture.iter(f"{NAMESPACE}text"))
    assert bottom < float(picture.get("height", "0"))


def test_a_name_too_long_for_its_column_is_cut() -> None:
    cut = shorten("four " * 40)

    assert len(cut) <= LONGEST_NAME
    assert cut.endswith(" f…")
