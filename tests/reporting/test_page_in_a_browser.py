"""The page of a report in Chromium: nothing is wider than the window, and verdicts are on the first screen."""

from __future__ import annotations

import pytest

from affetto.reporting.report import write
from reporting.folders import write_grid

WIDER = """() => Array.from(document.body.querySelectorAll("*")).filter((element) => {
  const box = element.getBoundingClientRect();
  const scrolls = (above) => above && (getComputedStyle(above).overflowX !== "visible" || scrolls(above.parentElement));
  return box.width && (box.right > innerWidth + 1 || box.left < -1) && !scrolls(element.parentElement)
    && !element.closest(".skip");
}).map((element) => element.outerHTML.slice(0, 200))"""

PHONE = 480
"""Most pixels of a window in which each row of a table is a card."""
SCROLLING = """() => Array.from(document.querySelectorAll(".sheet .scroll"))
  .filter((element) => element.scrollWidth > element.clientWidth)
  .map((element) => `${element.closest("figure").id} ${element.scrollWidth} ${element.clientWidth}`)"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Page of four configurations on two corpora, with long names."""
    folder = tmp_path_factory.mktemp("browser")
    runs = [
        (
            {"corpus": corpus, "method": method, "recipe": recipe, "split": "paper", "seed": 0},
            {"skill": skill, "speakers": 12},
        )
        for corpus in ("emovo", "demos")
        for recipe in ("paper", "recommended")
        for method, skill in (("frozen", 0.0), ("lora", 0.3))
    ]
    write(write_grid(folder / "runs", runs), folder / "report", only=["html"])
    return (folder / "report" / "index.html").as_uri()


@pytest.fixture(params=[(1280, 800), (390, 844)], ids=["desk", "phone"])
def page(request, browser, address):
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    page.goto(address)
    yield page
    context.close()


def test_nothing_is_wider_than_the_window(page):
    assert page.evaluate(WIDER) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_score_interval_and_words_are_on_the_first_screen(page):
    card = page.locator(".card").first
    box = card.bounding_box()
    assert "95 % interval" in card.inner_text()
    assert box["y"] + box["height"] <= page.viewport_size["height"] + 40


def test_a_verdict_stands_beside_the_names_without_scrolling(page):
    scroll = page.locator("#table-comparisons .scroll")
    edge = scroll.bounding_box()["x"] + scroll.bounding_box()["width"]
    for label in ("verdict", "difference / 95 % interval"):
        box = page.locator(f"#table-comparisons tbody [data-label='{label}']").first.bounding_box()
        assert box["x"] + box["width"] <= edge + 1, label


def test_tables_fit_a_desk_without_scrolling(page):
    if page.viewport_size["width"] > PHONE:
        page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
        assert page.evaluate(SCROLLING) == []


def test_the_first_column_stays_when_a_table_scrolls(page):
    if page.viewport_size["width"] > PHONE:
        page.add_style_tag(content="#table-comparisons table { width: 90rem }")
    name = page.locator("#table-comparisons tbody tr").first.locator("> *").first
    before = name.bounding_box()["x"]
    page.locator("#table-comparisons .scroll").evaluate("element => { element.scrollLeft = 300; }")
    assert abs(name.bounding_box()["x"] - before) <= 1


def test_on_a_phone_each_value_stands_beside_the_name_of_its_column(page):
    cell = page.locator("#table-comparisons tbody [data-label='verdict']").first
    display = cell.evaluate("element => getComputedStyle(element).display")
    label = cell.evaluate("element => getComputedStyle(element, '::before').content")
    is_phone = page.viewport_size["width"] <= PHONE
    assert (display, label) == (("flex", '"verdict"') if is_phone else ("table-cell", "none"))


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing(page, node_modules, colours):
    """Rules of WCAG 2.2 A and AA and good practice, with everything open."""
    script = node_modules / "axe-core" / "axe.min.js"
    if not script.is_file():
        pytest.skip(f"no axe-core in {node_modules}: npm ci --ignore-scripts --prefix tests/javascript")
    page.emulate_media(color_scheme=colours)
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    page.add_script_tag(path=script)
    findings = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    assert [(rule["id"], [node["target"] for node in rule["nodes"]][:3]) for rule in findings] == []
