"""Reports in a browser: scenes are drawn, the slider changes them, nothing is asked of the net."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, browser, is_required, why_no_browser
from numpy.typing import NDArray

import meanfield as mf

pytest.importorskip("dolfinx", reason="no DOLFINx here: run the tests with scripts/env pytest")
WHY_NOT = why_no_browser()
if WHY_NOT and not is_required():
    pytest.skip(WHY_NOT, allow_module_level=True)

SCENES = ("sphere", "tokens", "circle", "zonal")


@pytest.fixture(scope="module")
def page(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on all the folders."""
    assert not WHY_NOT, WHY_NOT
    place = tmp_path_factory.mktemp("pages")
    folders = [Path(shutil.copytree(made / name, place / name)) for name in SCENES]
    return mf.report(folders, place / "all.html")


@pytest.fixture(scope="module")
def shown(page: Path) -> Iterator[Browser]:
    """It, open in a browser."""
    with browser() as opened:
        opened.open(page)
        yield opened


def colours(image: NDArray[np.uint8]) -> int:
    return len(np.unique(image.reshape(-1, 3), axis=0))


def names(shown: Browser) -> list[str]:
    found = shown.run("return Array.from(document.querySelectorAll('.scene'), (e) => e.id)")
    return [str(name) for name in found]


def move(shown: Browser, name: str, k: int) -> None:
    """Move a slider, as a hand or a key does, and wait until the scene is that of the time."""
    shown.run(
        "const s = document.getElementById(arguments[0] + '-time'); s.value = arguments[1];"
        "s.dispatchEvent(new Event('input', {bubbles: true}));",
        name,
        k,
    )
    shown.wait(
        "return document.getElementById(arguments[0]).dataset.frame === String(arguments[1])",
        name,
        k,
    )


def still(shown: Browser, selector: str) -> NDArray[np.uint8]:
    """An element when two pictures of it are the same."""
    images = [shown.image(selector)]

    def same() -> bool:
        images.append(shown.image(selector))
        return np.array_equal(images[-1], images[-2])

    shown.until(same, f"{selector} stays as it is")
    return images[-1]


@pytest.mark.parametrize("place", range(len(SCENES)), ids=SCENES)
def test_the_slider_changes_the_scene(shown: Browser, place: int) -> None:
    name = names(shown)[place]
    last = still(shown, f"#{name}")
    assert colours(last) > 100
    move(shown, name, 0)
    first = still(shown, f"#{name}")
    assert colours(first) > 100
    changed = np.any(first != last, axis=2)
    assert changed.mean() > 0.002
    assert shown.run("return document.getElementById(arguments[0]).textContent", f"{name}-shown") \
        == "t = 0"  # fmt: skip
    k = int(shown.run(f"return document.getElementById('{name}-time').max"))
    move(shown, name, k)
    back = still(shown, f"#{name}")
    assert np.any(back != last, axis=2).mean() < 0.5 * changed.mean()


def test_it_plays_to_the_end(shown: Browser) -> None:
    name = names(shown)[0]
    move(shown, name, 3)
    # Every time that is shown is noted in the page: it may be gone when somebody asks.
    shown.run(
        "const scene = document.getElementById(arguments[0]); window.seen = [];"
        "new MutationObserver(() => window.seen.push(scene.dataset.frame))"
        ".observe(scene, {attributeFilter: ['data-frame']});"
        "document.getElementById(arguments[0] + '-play').click();",
        name,
    )
    shown.wait("return window.seen.length === 4")
    shown.wait(f"return document.getElementById('{name}-play').textContent === 'Play'")
    assert shown.run("return window.seen") == ["0", "1", "2", "3"]


def test_time_may_be_logarithmic(shown: Browser) -> None:
    axis = "return document.querySelector('.chart').layout.xaxis.type"
    assert shown.run(axis) == "linear"
    before = still(shown, ".chart")
    shown.run("document.querySelector('input.log-time').click()")
    shown.wait(f"{axis} === 'log'")
    assert np.any(still(shown, ".chart") != before)


def test_nothing_is_asked_of_the_net_and_nothing_fails(shown: Browser) -> None:
    assert shown.asked() == []
    assert shown.messages() == []
    entries = shown.run("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert [name for name in entries if not name.startswith(("data:", "blob:"))] == []
    assert shown.run("return document.querySelectorAll('.failed').length") == 0
    assert shown.run("return Array.from(document.images).every((i) => i.naturalWidth > 0)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_a_telephone_by_day_and_by_night(page: Path, scheme: str) -> None:
    with browser(390, 844) as narrow:
        narrow.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        narrow.open(page)
        width = narrow.run("return document.documentElement.scrollWidth")
        assert width <= 390
        high = narrow.run(
            "return Array.from(document.querySelectorAll('.scene + .controls'),"
            "(e) => e.getBoundingClientRect().height)"
        )
        assert max(high) < 50  # button, slider and time in one line
        title = narrow.image("h1")
        paper = np.median(title.reshape(-1, 3), axis=0)
        assert (paper < 60).all() if scheme == "dark" else (paper > 230).all()
        scene = still(narrow, ".scene")
        assert scene.shape[1] <= 390 and colours(scene) > 100
        corner = scene[-6:-2, 4:8].reshape(-1, 3).mean(axis=0)
        assert (corner < 60).all() if scheme == "dark" else (corner > 230).all()


@pytest.mark.slow
def test_many_scenes_are_drawn_as_they_come_into_sight(made: Path, tmp_path: Path) -> None:
    assert not WHY_NOT, WHY_NOT
    folders = [Path(shutil.copytree(made / "tokens", tmp_path / f"n{k}")) for k in range(9)]
    drawn = "return Array.from(document.querySelectorAll('.scene[data-frame]'), (e) => e.id)"
    with browser() as opened:
        opened.open(mf.report(folders, tmp_path / "many.html", frames=2))
        all_of_them = names(opened)
        for name in (all_of_them[0], *all_of_them, all_of_them[0]):
            opened.run(f"document.getElementById('{name}').scrollIntoView({{block: 'center'}})")
            opened.until(lambda name=name: name in opened.run(drawn), f"{name} is drawn")  # type: ignore[misc]
            assert len(opened.run(drawn)) <= 8
        move(opened, all_of_them[0], 0)
        assert colours(still(opened, f"#{all_of_them[0]}")) > 100
        assert opened.messages() == []
