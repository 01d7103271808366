"""What a browser test that fails has on its pages is told with the failure: a page is gone when its run is over."""

from collections.abc import Generator
from typing import Any

import pytest
from playwright.sync_api import Browser, Error


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds the address and the words of every page that is open."""
    report = yield
    browsers = [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Browser)]
    if report.when == "call" and report.failed:
        pages = [page for browser in browsers for context in browser.contexts for page in context.pages]
        report.sections += [(f"page {page.url}", words(page)) for page in pages]
    return report


def words(page: Any) -> str:
    """What a person would read there, or why it cannot be read."""
    try:
        return str(page.locator("body").inner_text(timeout=2000))
    except Error as error:
        return str(error)
