"""A Chromium without a window, which opens the pages that tests make."""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

__all__ = ["Browser", "browser", "why_no_browser"]

_PATIENCE = 120.0  # seconds: a browser that draws without a graphics card on a busy machine


def why_no_browser() -> str:
    """Why no browser can be started; "": there is one."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if not missing:
        return ""
    return f"no {' and no '.join(missing)}: apt-get install chromium chromium-driver"


def is_required() -> bool:
    """Whether a test must fail without a browser, and not be skipped (.ci/run)."""
    return os.environ.get("MEANFIELD_CI_BROWSER", "") not in ("", "0")


class Browser:
    """An open browser with one page."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, path: Path) -> None:
        """Open a file, and wait until all on it is drawn."""
        self.driver.get("about:blank")
        for log in ("browser", "performance"):  # of the first page of the browser itself
            self.driver.get_log(log)
        self.driver.get(path.resolve().as_uri())
        self.wait(
            "return document.readyState === 'complete' && (!document.getElementById('data')"
            " || document.documentElement.dataset.drawn === 'true')"
        )

    def run(self, script: str, *values: object) -> Any:
        """What a script in the page returns."""
        return self.driver.execute_script(script, *values)

    def wait(self, script: str, *values: object) -> None:
        """Wait until a script in the page returns true."""
        self.until(lambda: bool(self.run(script, *values)), script)

    def until(self, good: Callable[[], bool], what: str) -> None:
        """Wait until something is so."""
        end = time.monotonic() + _PATIENCE
        while not good():
            if time.monotonic() > end:
                raise AssertionError(f"not so after {_PATIENCE:g} s: {what}; {self.messages()}")
            time.sleep(0.1)

    def image(self, selector: str) -> NDArray[np.uint8]:
        """How an element looks now, (h, w, 3)."""
        element = self.driver.find_element("css selector", selector)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        with Image.open(io.BytesIO(element.screenshot_as_png)) as image:
            return np.asarray(image.convert("RGB"))

    def messages(self) -> list[str]:
        """Errors of the console since this was last asked."""
        return [
            str(entry["message"])
            for entry in self.driver.get_log("browser")
            if entry["level"] == "SEVERE"
        ]

    def asked(self) -> list[str]:
        """Addresses of all that the page has asked for, but itself and what is inside of it."""
        urls = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                urls.append(str(message["params"]["request"]["url"]))
        return [url for url in urls if not url.startswith(("file:", "data:", "blob:"))]


@contextmanager
def browser(width: int = 1280, height: int = 900) -> Iterator[Browser]:
    """A browser of its own, with an empty profile, that asks nothing of the network by itself."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    with tempfile.TemporaryDirectory(prefix="meanfield-browser-") as profile:
        for flag in (
            "--headless=new", "--no-sandbox", "--disable-gpu", "--use-gl=angle",
            "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
            f"--user-data-dir={profile}", f"--window-size={width},{height}",
        ):  # fmt: skip
            options.add_argument(flag)
        options.binary_location = str(shutil.which("chromium"))
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = ChromeService(executable_path=str(shutil.which("chromedriver")))
        driver = Chrome(options=options, service=service)
        try:
            driver.set_page_load_timeout(_PATIENCE)
            driver.set_script_timeout(_PATIENCE)
            # A window is never narrower than some 500 pixels: the page is told another width.
            driver.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
            )
            yield Browser(driver)
        finally:
            driver.quit()
