"""How HTML is written: what is no HTML is escaped, numbers as people read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pages import Read, decoded
from PIL import Image

from meanfield.reports.page import (
    Html,
    Page,
    element,
    encoded,
    joined,
    numeral,
    picture,
    plain_table,
    subtitled,
)


def test_texts_and_attributes_are_escaped() -> None:
    made = element("p", "a < b & <script>", element("b", "'c'"), title='"><script>', id_="x")
    assert made == (
        '<p title="&quot;&gt;&lt;script&gt;" id="x">a &lt; b &amp; &lt;script&gt;'
        "<b>&#x27;c&#x27;</b></p>"
    )
    assert joined(["<", Html("<br>")]) == "&lt;<br>"


def test_attributes_without_a_value_and_elements_without_an_end() -> None:
    made = element("input", type="range", disabled=True, checked=False, aria_label=None, min=0)
    assert made == '<input type="range" disabled min="0">'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10242, "10\u202f242"),
        (-3, "−3"),
        (0.5, "0.5"),
        (-1.25e-17, "−1.25 × 10⁻¹⁷"),
        (2.5e20, "2.5 × 10²⁰"),
        (float("nan"), "–"),
        (float("inf"), "∞"),
        (True, "yes"),
        (None, "unknown"),
        (np.float64(2.0), "2"),
        ("sa", "sa"),
    ],
)
def test_numbers_as_people_read_them(value: object, text: str) -> None:
    assert numeral(value) == text


def test_a_table_has_a_caption_and_a_scope() -> None:
    made = plain_table("What <it> is", [["a<b", 1.5], ["c", 2]], ("name", "value"), "More.")
    assert "<caption>What &lt;it&gt; is</caption>" in made
    assert '<th scope="col">name</th><th scope="col" class="number">value</th>' in made
    assert '<td>a&lt;b</td><td class="number">1.5</td>' in made
    assert made.endswith('<p class="note">More.</p></div>')
    assert '<th scope="row">mass</th><td>1</td>' in plain_table("Kept", [["mass", 1.0]])
    assert plain_table("nothing", []) == "" == subtitled("Nothing", Html())


def test_a_picture_is_inside_and_has_its_size(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), (1, 2, 3)).save(tmp_path / "p.png")
    made = picture(tmp_path / "p.png", "three <colours>", "P")
    assert 'alt="three &lt;colours&gt;" width="30" height="20"' in made
    assert 'src="data:image/png;base64,' in made


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i1"])
def test_numbers_come_back_exactly(dtype: str) -> None:
    values = np.array([[-1.5, 0.0], [3.0, 100.0]]) if dtype[0] == "f" else np.array([-1, 0, 100])
    np.testing.assert_array_equal(decoded(encoded(values, dtype)), values.ravel())


def test_a_page_is_balanced_and_its_data_cannot_end_a_script(tmp_path: Path) -> None:
    page = Page()
    name, other = page.name("chart"), page.name("chart")
    assert name != other
    page.add_chart({"id": name, "title": "</script><b>", "value": float("nan")})
    text = page.whole("a < b", element("main", element("div", id=name), element("div", id=other)))
    path = tmp_path / "page.html"
    path.write_text(text, "utf-8")
    read = Read(path)
    assert read.texts["title"] == ["a < b"] and not read.texts.get("b")
    assert read.data["charts"] == [{"id": name, "title": "</script><b>", "value": "nan"}]
    assert read.named("html") == [{"lang": "en"}]


def test_a_page_without_anything_that_moves_has_no_script() -> None:
    assert "<script" not in Page().whole("t", element("main"))
