"""The small pages: every text is escaped, and escaped once."""

import xml.etree.ElementTree as xml

from polaris.charts import charts
from polaris.charts.figure_page import figure_page

NAME = "a <b> & \"c\" 'd' &lt;"


def test_texts_are_escaped_once():
    drawn = charts.column_chart([NAME], [(NAME, 0, [1])], NAME, NAME)
    page = figure_page(NAME, [NAME], [(NAME, drawn, NAME)], [[NAME], [NAME]], [NAME])
    root = xml.fromstring(page.split("\n", 1)[1].replace("<meta charset=\"utf-8\">", "").replace(
        '<meta name="viewport" content="width=device-width, initial-scale=1">', "").replace(
        '<meta name="color-scheme" content="light dark">', ""))  # fmt: skip
    texts = [text.strip() for text in root.itertext() if text.strip()]
    assert texts.count(NAME) >= 9 and not [text for text in texts if "amp;" in text]
