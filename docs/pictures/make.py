"""The pictures of the tutorial, from runs of its cases: ``python docs/pictures/make.py [FOLDER]``.

FOLDER (results) has the runs ``clustering`` and ``particles``, as the tutorial makes them; what is
missing is run first. Pictures get 256 colours at most, so that each is below 150 kB. The report is
photographed in Chromium (apt-get install chromium chromium-driver; the extra dev).
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

import meanfield as mf

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))


def run(folder: Path, name: str) -> mf.Result:
    """A shipped case, or what is left of it."""
    if not (folder / name / "run.json").exists():
        mf.run(ROOT / "scripts" / "cases" / f"{name}.toml", folder / name)
    return mf.load(folder / name)


def save(image: Image.Image, name: str, width: int) -> None:
    """A small PNG beside this file."""
    small = image.convert("RGB").resize(
        (width, round(image.height * width / image.width)), Image.Resampling.LANCZOS
    )
    path = HERE / name
    small.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


def energy(density: mf.Result) -> None:
    """The usual curves."""
    with tempfile.TemporaryDirectory() as there:
        (path,) = mf.plot(density, "series", mf.PlotOptions(output=there))
        with Image.open(path) as image:
            save(image, "tutorial-energy.png", 700)


def film(density: mf.Result, tokens: mf.Result) -> None:
    """One frame of tokens over their density."""
    import imageio.v3 as iio

    with tempfile.TemporaryDirectory() as there:
        path = Path(there) / "both.mp4"
        mf.film(density, path, mf.Film(frames=13), tokens=tokens)
        save(Image.fromarray(iio.imread(path, index=4)), "tutorial-film.png", 800)


def report(density: mf.Result, tokens: mf.Result) -> None:
    """The first screen of both runs as one page."""
    from browser import browser

    with tempfile.TemporaryDirectory() as there:
        path = Path(there) / "both.html"
        mf.report([density, tokens], path)
        with browser(1100, 1000) as page:
            page.open(path)
            time.sleep(5.0)
            save(
                Image.open(io.BytesIO(page.driver.get_screenshot_as_png())),
                "tutorial-report.png",
                800,
            )


def main() -> None:
    """All of them."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
    density, tokens = run(folder, "clustering"), run(folder, "particles")
    energy(density)
    film(density, tokens)
    report(density, tokens)


if __name__ == "__main__":
    main()
