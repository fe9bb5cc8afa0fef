"""What a group shares, on the memory page: written there, and marked wherever it is shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import opened, say
from tests.support.fake_model import FakeModel
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import Proxy

pytestmark = pytest.mark.browser

BADGE = "@choir, by ada"


@pytest.fixture(scope="module")
def own(upstream: FakeModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    groups = [{"name": "choir", "members": {"ada": "writer", "rita": "reader"}}]
    with running_here(tmp_path_factory.mktemp("choir"), {"model-a": upstream.url}, groups=groups) as proxy:
        yield proxy


def add(page: Page, text: str) -> None:
    page.get_by_role("button", name="Add").first.click()
    page.get_by_label("Something to remember").fill(text)
    page.get_by_role("button", name="Remember").click()


def test_a_member_writes_to_the_group_and_others_see_whose_it_is(own: Proxy, browser: Browser) -> None:
    """In the list and beside the answer that it went into; a reader is told that they may not write there, and
    nobody's own list has it."""
    told = "We sing on Fridays in room Zelenka."
    with opened(browser, own, "ada", "settings") as page:
        page.get_by_role("button", name="@choir (writer)").click()
        page.get_by_role("link", name="Memories").click()
        add(page, told)
        expect(page.locator(".card", has_text=told)).to_contain_text(BADGE)
    with opened(browser, own, "rita", "chat", forgiving=True) as page:
        say(page, "In which room do we sing on Fridays?")
        page.get_by_role("link", name="Answers").click()
        page.locator(".receipt", has_text="In which room do we sing").locator("summary").first.click()
        expect(page.locator(".card", has_text=told).first).to_contain_text(BADGE)
        page.get_by_role("link", name="Memories").click()
        expect(page.locator(".card", has_text="room Zelenka")).to_have_count(0)
        page.get_by_role("link", name="Settings").click()
        page.get_by_role("button", name="@choir (reader)").click()
        page.get_by_role("link", name="Memories").click()
        expect(page.locator(".card", has_text=told)).to_contain_text(BADGE)
        with page.expect_response(lambda answer: answer.request.method == "POST") as refused:
            add(page, "We sing on Mondays.")
        assert refused.value.status == 403
        expect(page.locator(".toast").first).to_contain_text("not write there")
        expect(page.locator(".card", has_text="Mondays")).to_have_count(0)
    with opened(browser, own, "zoe", "settings") as page:
        expect(page.get_by_role("button", name="@choir")).to_have_count(0)
