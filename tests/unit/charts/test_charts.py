"""Pictures: well-formed, everything drawn lies inside the view box, no label gets lost."""

import math
import xml.etree.ElementTree as xml

import pytest

from polaris.charts import charts, pieces, point_chart
from polaris.charts.charts import Line, Row

NAMES = [
    "base_small",
    "core_filtered − format_sft & <others>",
    'a "quoted" name that is far too long to fit in one row',
]


def plain(value: float) -> str:
    return f"{value:g}"


def parsed(svg: str) -> xml.Element:
    root = xml.fromstring(svg)
    assert root.tag.endswith("svg") and root.get("aria-label")
    return root


def drawn(root: xml.Element) -> list[xml.Element]:
    return [element for element in root.iter() if not element.tag.endswith(("svg", "title"))]


def texts(root: xml.Element) -> list[str]:
    return [element.text for element in root.iter() if element.tag.endswith("text")]


def assert_inside(root: xml.Element) -> None:
    """Every coordinate, and every text with its width (letters estimated as the module does)."""
    _, _, width, height = map(float, root.get("viewBox").split())
    for element in drawn(root):
        points = [tuple(map(float, pair.split(","))) for pair in element.get("points", "").split()]
        x, y = float(element.get("x", element.get("cx", 0))), float(element.get("y", element.get("cy", 0)))
        points += [(x, y), (x + float(element.get("width", 0)), y + float(element.get("height", 0)))]
        points += [(float(element.get(f"x{n}", 0)), float(element.get(f"y{n}", 0))) for n in (1, 2)]
        if element.tag.endswith("text"):
            length = float(element.get("textLength", pieces.LETTER * len(element.text)))
            start = x - length * {"middle": 0.5, "end": 1}.get(element.get("text-anchor"), 0)
            points += [(start, y), (start + length, y)]
        for x, y in points:
            assert -0.6 <= x <= width + 0.6 and -0.6 <= y <= height + 0.6, (xml.tostring(element), width, height)


def overlaps(root: xml.Element) -> list[tuple[str, str]]:
    """Pairs of texts on the same line of letters that run into each other."""
    spans = []
    for element in (element for element in root.iter() if element.tag.endswith("text")):
        length = float(element.get("textLength", pieces.LETTER * len(element.text)))
        start = float(element.get("x")) - length * {"middle": 0.5, "end": 1}.get(element.get("text-anchor"), 0)
        spans.append((float(element.get("y")), start, start + length, element.text))
    return [
        (a[3], b[3])
        for index, a in enumerate(spans)
        for b in spans[:index]
        if abs(a[0] - b[0]) < pieces.SIZE * 0.8 and a[1] < b[2] - 0.01 and b[1] < a[2] - 0.01
    ]


def test_line_chart_with_intervals():
    alphas = [0.0, 0.3, 0.35, 0.4, 0.45, 0.5, 1.0]
    line = Line("", alphas, [0.5, 0.6, 0.61, 0.62, 0.6, 0.55, 0.4], [0.4] * 7, [0.7] * 7)
    svg = charts.line_chart([line], "on <chain>", "alpha", plain, [(a, plain(a)) for a in alphas])
    root = parsed(svg)
    assert_inside(root)
    assert not overlaps(root)
    assert len([e for e in drawn(root) if "dot" in e.get("class")]) == 7
    assert len([e for e in drawn(root) if "whisker" in e.get("class")]) == 7
    assert {"0", "1", "alpha"} <= set(texts(root))


def test_line_chart_places_points_to_scale():
    root = parsed(charts.line_chart([Line("", [0, 5, 10], [0.0, 0.5, 1.0])], "t", "step", plain, y_span=(0, 1)))
    path = next(e.get("points") for e in drawn(root) if e.tag.endswith("polyline"))
    (x0, y0), (x1, y1), (x2, y2) = [tuple(map(float, pair.split(","))) for pair in path.split()]
    assert x1 == pytest.approx((x0 + x2) / 2, abs=0.1) and y1 == pytest.approx((y0 + y2) / 2, abs=0.1)
    assert x0 < x2 and y0 > y2  # larger values are higher up


def test_line_chart_names_its_lines():
    lines = [Line("accuracy", [1, 2], [0.1, 0.2], tone=0), Line("reward", [1, 2], [0.3, 0.4], tone=1)]
    root = parsed(charts.line_chart(lines, "t", "step", plain))
    assert_inside(root)
    assert {"accuracy", "reward"} <= set(texts(root)) and not overlaps(root)


@pytest.mark.parametrize("values", [[0.5], [0.0], [0.3, 0.3, 0.3], [1e-9, 2e-9], [-1e6, 1e6]])
def test_line_chart_of_awkward_values(values: list[float]):
    root = parsed(charts.line_chart([Line("", list(range(len(values))), values)], "t", "step", plain))
    assert_inside(root)


def test_interval_chart_keeps_every_label():
    rows = [Row(name, 0.1 * i, f"+{i} [−1.0, +2.0]", 0.1 * i - 0.2, 0.1 * i + 0.1) for i, name in enumerate(NAMES)]
    root = parsed(charts.interval_chart(rows, "Differences", plain, zero=True))
    assert_inside(root)
    assert set(NAMES) <= set(texts(root)) and {row.text for row in rows} <= set(texts(root))
    assert not overlaps(root)
    assert [e.get("class") for e in drawn(root)].count("axis") == 1


def test_interval_chart_with_zero_shows_it_even_far_away():
    root = parsed(charts.interval_chart([Row("a", 0.5, "x", 0.49, 0.51)], "t", plain, zero=True))
    assert "0" in texts(root)
    assert "0" not in texts(parsed(charts.interval_chart([Row("a", 0.5, "x", 0.49, 0.51)], "t", plain)))


def test_bar_chart_is_to_scale():
    rows = [Row("long", 100, "1:40"), Row(NAMES[2], 25, "0:25"), Row("none", 0, "0:00")]
    root = parsed(charts.bar_chart(rows, "time"))
    assert_inside(root)
    assert not overlaps(root)
    widths = [float(e.get("width")) for e in drawn(root) if "tone0" in e.get("class")]
    assert widths[0] == pieces.WIDTH and widths[1] == pytest.approx(pieces.WIDTH / 4, abs=0.1) and widths[2] < 2
    parsed(charts.bar_chart([Row("nothing", 0, "0:00")], "time"))


@pytest.mark.parametrize("k", [1, 8, 64])
def test_column_chart(k: int):
    counts = list(range(k + 1))
    root = parsed(
        charts.column_chart([str(n) for n in counts], [("all", 3, counts), ("kept", 0, counts[::-1])], "t", "right")
    )
    assert_inside(root)
    assert not overlaps(root)
    bars = [float(e.get("height")) for e in drawn(root) if e.tag.endswith("rect") and e.get("class") == "bar tone3"]
    assert bars[2] / bars[-1] == pytest.approx(1 / k, abs=0.01)  # bars[0] is the legend's


def test_an_axis_goes_below_zero_only_with_its_data():
    assert pieces.widened(0.0, 0.02)[0] == pieces.widened(0.0, 0.0)[0] == 0.0 and pieces.widened(-0.01, 0.02)[0] < -0.01


@pytest.mark.parametrize("low, high", [(0, 1), (0.412, 0.627), (-0.065, 0.09), (0, 14200), (1e-7, 3e-7), (5, 5)])
def test_ticks_enclose_the_data_at_round_places(low: float, high: float):
    marks = pieces.ticks(low, high)
    assert marks[0] <= low and marks[-1] >= high and 2 <= len(marks) <= 7
    step = marks[1] - marks[0]
    assert step / 10 ** math.floor(math.log10(step) + 1e-9) == pytest.approx(
        round(step / 10 ** math.floor(math.log10(step) + 1e-9))
    )


def test_side_by_side_is_one_file_with_everything_of_its_pictures():
    first = charts.interval_chart([Row(name, 0.5, "50", 0.4, 0.6) for name in NAMES], "Ladder", plain)
    second = charts.line_chart([Line("", [0, 1], [0.1, 0.9])], "Curve", "alpha", plain)
    root = parsed(charts.side_by_side([("Left & first", first), ("Right", second)], "Both"))
    texts = {element.text for element in root.iter() if element.tag.endswith("text")}
    assert texts >= {"Left & first", "Right", "alpha", *NAMES} and "--tone0" in xml.tostring(root, "unicode")
    assert float(root.get("viewBox").split()[3]) >= max(
        float(parsed(one).get("viewBox").split()[3]) for one in (first, second)
    )


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_points_over_two_axes(spread):
    """Every point has its cross, the front is a staircase through its points, and no name runs into another."""
    points = [
        point_chart.Point(
            name, f"kind {tone}", (x, y), ((x - spread, x + spread), (y - spread, y + spread)), tone, first
        )
        for name, x, y, tone, first in (
            ("base_small", 0.2, 0.1, 0, False),
            ("core & <filtered>", 0.9, 0.1, 0, True),
            ("alpha=0.30", 0.7, 0.6, 1, True),
            ("alpha=0.40", 0.69, 0.61, 1, True),
            ("digits_specialist", 0.1, 0.95, 2, True),
        )
    ]
    root = parsed(point_chart.point_chart(points, ("chain", "digits"), "two domains", charts.axis_percent))
    assert_inside(root)
    assert overlaps(root) == []
    shown = texts(root)
    assert {"core & <filtered>", "alpha=0.30", "digits_specialist", "chain"} <= set(shown)
    circles = [element for element in root.iter() if element.tag.endswith("circle")]
    assert len(circles) == 5 and sum(element.get("class", "").startswith("whisker") for element in root.iter()) == 10
    names = [element.text for element in root.iter() if element.tag.endswith("title")][1:]
    assert names[0] == "base_small: 20% on chain, 10% on digits"


def test_one_point_alone():
    one = point_chart.Point("only", "small", (0.5, 0.5), ((0.4, 0.6), (0.4, 0.6)), 0, True)
    assert_inside(parsed(point_chart.point_chart([one], ("a", "b"), "one", charts.axis_percent)))
