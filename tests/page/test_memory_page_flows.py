"""The memory page: what a person can do with their memory in a browser, each flow once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.browser import opened, say
from tests.support.fake_model import Behaviour, FakeModel, newest_user_text
from tests.support.proxy_server import Proxy, ask, eventually, memories, remembered, running

pytestmark = pytest.mark.browser


def add(proxy: Proxy, user: str, *texts: str) -> None:
    with proxy.client(user) as client:
        for text in texts:
            client.post("/v1/memories", json={"text": text}).raise_for_status()


def texts(proxy: Proxy, user: str) -> list[str]:
    with proxy.client(user) as client:
        return [memory["text"] for memory in memories(client)]


def card(page: Page, text: str) -> Locator:
    return page.locator(".card", has=page.locator(".text", has_text=text))


def details(page: Page, text: str) -> Locator:
    found = card(page, text).first
    found.locator(".words").first.click()
    return found


def test_a_key_signs_in_and_a_wrong_one_is_told_so(proxy: Proxy, browser: Browser) -> None:
    """The key is kept for the tab alone; signing out forgets it."""
    add(proxy, "alice", "I keep bees.")
    with browser.new_context() as tab:
        page = tab.new_page()
        page.goto(proxy.url)
        page.get_by_label("Your API key").fill("sk-wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("not known")
        page.get_by_label("Your API key").fill("sk-alice")
        page.keyboard.press("Enter")
        expect(card(page, "I keep bees.")).to_be_visible()
        assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Your API key").wait_for()
        assert page.evaluate("sessionStorage.length") == 0


def test_a_key_for_several_users_asks_whose_memory(proxy: Proxy, browser: Browser, user: str) -> None:
    """It speaks for nobody until somebody is named."""
    add(proxy, user, "I keep hens.")
    with browser.new_context() as tab:
        page = tab.new_page()
        page.goto(proxy.url)
        page.get_by_label("Your API key").fill("sk-webui")
        page.keyboard.press("Enter")
        page.get_by_label("Whose memory").fill(user)
        page.get_by_label("Your API key").fill("sk-webui")
        page.keyboard.press("Enter")
        expect(card(page, "I keep hens.")).to_be_visible()


def test_on_this_machine_without_keys_one_is_straight_in(
    tmp_path: Path, upstream: FakeModel, browser: Browser
) -> None:
    """And what an empty memory shows is a way to begin."""
    with running(tmp_path, {"model-a": upstream.url}, keys=None) as proxy, opened(browser, proxy) as page:
        expect(page.get_by_role("heading", name="Nothing remembered yet")).to_be_visible()
        page.get_by_role("link", name="Open the chat").click()
        expect(page.get_by_role("heading", name="Chat")).to_be_visible()


def test_what_is_told_in_the_chat_stands_in_the_timeline(proxy: Proxy, browser: Browser, user: str) -> None:
    """With the words it rests on, under its day, with the model it was told."""
    with opened(browser, proxy, user, "chat") as page:
        say(page, "Hello! My dog is called Bruno, by the way.")
        expect(page.locator(".learned")).to_contain_text("Bruno")
        page.get_by_role("link", name="Memories").click()
        expect(page.get_by_role("heading", name="Today")).to_be_visible()
        fact = page.locator(".card.fact", has_text="Bruno")
        fact.locator(".words").click()
        expect(fact.locator("blockquote")).to_contain_text("My dog is called Bruno")
        expect(fact.locator(".details")).to_contain_text("model-a")


def test_search_finds_words_and_else_what_is_near(proxy: Proxy, browser: Browser, user: str) -> None:
    """The timeline narrows as one types; without a hit it shows what is closest in meaning."""
    add(proxy, user, "I drive an old Saab.", "I am allergic to peanuts.")
    with opened(browser, proxy, user) as page:
        page.get_by_label("Search your memories").fill("PEANUT")
        expect(card(page, "Saab")).to_have_count(0)
        expect(card(page, "peanuts")).to_be_visible()
        page.get_by_label("Search your memories").fill("automobile")
        expect(page.get_by_text("Nothing contains “automobile”.")).to_be_visible()
        expect(page.locator(".near .card").first).to_contain_text("Saab")


def test_a_memory_is_added_corrected_pinned_and_given_an_end(proxy: Proxy, browser: Browser, user: str) -> None:
    """With the keyboard alone where there is something to write."""
    with opened(browser, proxy, user) as page:
        page.get_by_role("button", name="Add").press("Enter")
        page.get_by_label("Something to remember").fill("My car is a red Volvo.")
        page.get_by_role("button", name="Remember").press("Enter")
        row = details(page, "red Volvo")
        row.get_by_role("button", name="Edit").click()
        row.get_by_label("The memory’s words").fill("My car is a blue Volvo.")
        page.keyboard.press("Control+Enter")
        row = card(page, "blue Volvo")
        row.get_by_role("button", name="Pin", exact=True).last.click()
        expect(row.get_by_text("Pinned")).to_be_visible()
        row.get_by_role("button", name="Expiry").click()
        row.get_by_label("Forget it after").fill("2031-05-09")
        row.get_by_role("button", name="Set", exact=True).click()
        expect(row.get_by_text("Expires 9 May 2031")).to_be_visible()
    with proxy.client(user) as client:
        (kept,) = memories(client)
    assert (kept["text"], kept["pinned"], kept["expires_at"][:4]) == ("My car is a blue Volvo.", True, "2031")


def test_a_memory_can_be_made_private_and_back(proxy: Proxy, browser: Browser, user: str) -> None:
    """And the page says what that means."""
    add(proxy, user, "I take part in a sleep study.")
    with opened(browser, proxy, user) as page:
        row = details(page, "sleep study")
        row.get_by_role("button", name="Private").click()
        expect(row.locator(".badge")).to_contain_text("Private")
        expect(row.locator(".details")).to_contain_text("Only to models on the operator’s own machines")
        with proxy.client(user) as client:
            assert memories(client)[0]["private"] is True
        row.get_by_role("button", name="Private").click()
        expect(row.locator(".badge")).to_have_count(0)


def test_a_deletion_can_be_undone_for_a_moment(proxy: Proxy, browser: Browser, user: str) -> None:
    """Nothing was sent yet, so nothing has to be kept for it."""
    add(proxy, user, "I like figs.")
    with opened(browser, proxy, user) as page:
        card(page, "figs").get_by_role("button", name="Delete").click()
        expect(card(page, "figs")).to_be_hidden()
        page.get_by_role("button", name="Undo").click()
        expect(card(page, "figs")).to_be_visible()
        page.get_by_role("link", name="Settings").click()
    assert texts(proxy, user) == ["I like figs."]


def test_a_deletion_takes_the_exchange_along(proxy: Proxy, browser: Browser, user: str) -> None:
    """After the moment it is done, and the timeline shows no other trace of it."""
    with opened(browser, proxy, user, "chat") as page:
        say(page, "I play the cello.")
        page.get_by_role("link", name="Memories").click()
        expect(card(page, "cello")).to_have_count(2)
        page.locator(".card.fact", has_text="cello").get_by_role("button", name="Delete").click()
        page.get_by_role("button", name="Dismiss").click()
        expect(card(page, "cello")).to_have_count(0)
    assert texts(proxy, user) == []


def test_a_deletion_shows_out_of_view_too(proxy: Proxy, browser: Browser, user: str) -> None:
    """What says the same and was scrolled past is not there when one comes back to it."""
    said = {
        "kind": "episode",
        "text": "User: I play the cello in Lund.\nAssistant: Nice.",
        "created_at": "2024-01-01",
    }
    lines = [{"kind": "episode", "text": f"User: Shelf {n}.", "created_at": "2025-01-01"} for n in range(150)]
    with proxy.client(user) as client:
        client.post("/v1/memories/import", content="\n".join(map(json.dumps, [said, *lines]))).raise_for_status()
    add(proxy, user, "I play the cello in Lund.")
    with opened(browser, proxy, user) as page:
        while page.locator(".page").count() < 4:
            page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
            page.wait_for_timeout(100)
        page.evaluate("scrollTo(0, 0)")
        page.locator(".card.fact", has_text="cello").get_by_role("button", name="Delete").click()
        page.get_by_role("button", name="Dismiss").click()
        eventually(lambda: len(texts(proxy, user)) == 150)
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        expect(card(page, "Shelf").last).to_be_visible()
        expect(card(page, "cello")).to_have_count(0)


def test_leaving_the_page_does_not_save_what_was_deleted(proxy: Proxy, browser: Browser, user: str) -> None:
    """Deleted means deleted, also with the undo still in view."""
    add(proxy, user, "I like plums.", "I like pears.")
    with opened(browser, proxy, user) as page:
        card(page, "plums").get_by_role("button", name="Delete").click()
        page.get_by_role("button", name="Undo").wait_for()
        page.goto(f"{proxy.url}/health/live")
        eventually(lambda: texts(proxy, user) == ["I like pears."])


def test_a_superseded_fact_shows_its_history_and_can_hold_again(proxy: Proxy, browser: Browser, user: str) -> None:
    """What it said before, until when; and back."""
    add(proxy, user, "I live in Oslo.", "I live in Bergen.")
    with opened(browser, proxy, user) as page:
        row = details(page, "Bergen")
        row.get_by_role("button", name="History").click()
        expect(row.locator(".history .card")).to_contain_text("Oslo")
        expect(card(page, "Oslo").last.locator(".badge").first).to_contain_text("Until")
        page.get_by_label("Past ones too").check()
        old = page.locator(".card.past", has_text="Oslo").first
        old.locator(".words").click()
        old.get_by_role("button", name="It holds again").click()
        expect(page.locator(".card.past", has_text="Bergen").first).to_be_visible()
    assert texts(proxy, user) == ["I live in Oslo."]


def test_a_preview_shows_scores_tokens_and_the_block(proxy: Proxy, browser: Browser, user: str) -> None:
    """And what came near but stays out, for a message that has nothing to do with one."""
    add(proxy, user, "I drive an old Saab.")
    with opened(browser, proxy, user, "preview") as page:
        page.get_by_label("A message").fill("Which car do I drive?")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="1 memory would go in")).to_be_visible()
        expect(page.locator(".scored .score")).to_contain_text("nearness 0.")
        page.get_by_text("The block, word for word").click()
        expect(page.locator(".block")).to_contain_text("- I drive an old Saab.")
        page.get_by_label("A message").fill("Write a haiku about the sea.")
        page.get_by_role("button", name="What would be recalled?").click()
        expect(page.get_by_role("heading", name="No memory would go in")).to_be_visible()
        expect(page.get_by_role("heading", name="Came near, stays out")).to_be_visible()


def test_side_by_side_shows_what_memory_changes(
    proxy: Proxy, upstream: FakeModel, browser: Browser, user: str
) -> None:
    """One question to one model, with the injected block and without; the headers say what it cost."""
    add(proxy, user, "I am allergic to peanuts.")
    with opened(browser, proxy, user, "chat") as page:
        page.get_by_role("button", name="Side by side").click()
        say(page, "Which snacks should I avoid?")
        with_memory, without = page.locator(".lane").all()
        expect(with_memory.locator(".went")).to_contain_text("1 memory went in")
        with_memory.locator(".went summary").click()
        expect(with_memory.locator(".block")).to_contain_text("- I am allergic to peanuts.")
        expect(without.locator(".went")).to_contain_text("took no part")
        with_memory.locator(".headers summary").click()
        expect(with_memory.locator(".headers")).to_contain_text("X-Memory-Status")
        block = with_memory.locator(".block").text_content() or "?"
    asked = {newest_user_text(chat.json) for chat in upstream.chats[-2:]}
    assert asked == {"Which snacks should I avoid?", f"{block}\n\nWhich snacks should I avoid?"}


def test_the_model_can_be_switched_in_mid_conversation(
    proxy: Proxy, upstream: FakeModel, browser: Browser, user: str
) -> None:
    """The other model gets the whole conversation; with memory off it gets that alone."""
    with opened(browser, proxy, user, "chat") as page:
        say(page, "I collect stamps.")
        page.get_by_label("Model").select_option("model-b")
        page.get_by_role("button", name="Memory off").click()
        say(page, "What do I collect?")
        assert page.locator(".who").all_text_contents() == ["model-a", "model-b"]
    sent = upstream.chats[-1].json
    assert sent["model"] == "model-b"
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]
    assert "<memory>" not in json.dumps(sent)


def test_an_answer_streams_and_can_be_stopped(proxy: Proxy, upstream: FakeModel, browser: Browser, user: str) -> None:
    """The first words are there before the last, and stopping reaches the provider."""
    upstream.script(Behaviour(answer="one " * 200, delay_chunk=0.1))
    with opened(browser, proxy, user, "chat") as page:
        page.get_by_label("Your message").fill("Count, please.")
        page.keyboard.press("Enter")
        expect(page.locator(".answer[aria-busy]")).to_contain_text("one one")
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_text("Stopped.")).to_be_visible()
        assert len((page.locator(".answer").text_content() or "").split()) < 200


def test_an_error_of_a_model_is_shown_and_can_be_tried_again(
    proxy: Proxy, upstream: FakeModel, browser: Browser, user: str
) -> None:
    """With the provider's words."""
    upstream.script(Behaviour(status=400))
    with opened(browser, proxy, user, "chat", forgiving=True) as page:
        page.get_by_label("Your message").fill("Hello there.")
        page.keyboard.press("Enter")
        expect(page.locator(".answer.failed")).to_contain_text("scripted error")
        page.get_by_role("button", name="Try again").click()
        expect(page.locator(".answer")).to_have_text("Hello there.")


def test_receipts_say_what_went_in_and_what_was_learned(proxy: Proxy, browser: Browser, user: str) -> None:
    """For answers to any client; what was deleted since is not shown again."""
    add(proxy, user, "I am allergic to peanuts.")
    with proxy.client(user) as client:
        ask(client, "Which snacks should I avoid? I live in Lund.")
        fact = remembered(client, "allergic")
        remembered(client, "Lund", "fact")
    with opened(browser, proxy, user, "answers") as page:
        receipt = page.locator(".receipt")
        receipt.locator("summary").first.click()
        expect(receipt).to_contain_text("I am allergic to peanuts.")
        expect(receipt).to_contain_text("I live in Lund.")
        with proxy.client(user) as client:
            client.delete(f"/v1/memories/{fact['id']}")
        page.get_by_role("link", name="Settings").click()
        page.get_by_role("link", name="Answers").click()
        expect(receipt).to_contain_text("deleted since")
        expect(receipt).not_to_contain_text("allergic")


def test_a_pause_can_be_switched_and_is_seen(proxy: Proxy, browser: Browser, user: str) -> None:
    """In the settings, above the timeline, and in the chat."""
    with opened(browser, proxy, user, "settings") as page:
        page.get_by_label("Pause my memory").check()
        expect(page.get_by_text("Memory is paused").first).to_be_visible()
        page.get_by_role("link", name="Memories").click()
        expect(page.locator(".notice")).to_contain_text("Memory is paused")
        page.get_by_role("link", name="Chat", exact=True).click()
        page.get_by_label("Your message").fill("I play chess.")
        page.keyboard.press("Enter")
        expect(page.locator(".went")).to_contain_text("took no part")
        page.get_by_role("link", name="Settings").click()
        page.get_by_label("Pause my memory").uncheck()
        expect(page.get_by_text("Memory is on again")).to_be_visible()
    assert texts(proxy, user) == []


def test_numbers_and_condition_are_shown(proxy: Proxy, browser: Browser, user: str) -> None:
    """How much there is, what recent answers took, and whether every part works."""
    add(proxy, user, "I like figs.")
    with opened(browser, proxy, user, "settings") as page:
        figures = page.locator(".figures > div")
        expect(figures.filter(has_text="facts")).to_contain_text("1")
        for part in ("store", "queue", "embedder"):
            expect(page.locator(".parts li", has_text=part)).to_contain_text("ok")


def test_everything_can_be_taken_along_and_brought_back(
    proxy: Proxy, browser: Browser, user: str, tmp_path: Path
) -> None:
    """As NDJSON, through erasing everything, which asks for a word first."""
    add(proxy, user, "I like figs.", "I live in Lund.")
    with opened(browser, proxy, user, "settings") as page:
        with page.expect_download() as download:
            page.get_by_role("button", name="Export").click()
        file = tmp_path / "memories.ndjson"
        download.value.save_as(file)
        assert len(file.read_text().splitlines()) == 2
        page.get_by_role("button", name="Erase everything…").click()
        erase = page.get_by_role("dialog").get_by_role("button", name="Erase everything")
        expect(erase).to_be_disabled()
        page.get_by_label("Type “erase” to go on").fill("eras")
        expect(erase).to_be_disabled()
        page.get_by_label("Type “erase” to go on").fill("erase")
        erase.click()
        expect(page.get_by_text("Erased: 2 memories")).to_be_visible()
        assert texts(proxy, user) == []
        page.locator("#import").set_input_files(file)
        expect(page.get_by_text("Imported: 2 added")).to_be_visible()
    assert sorted(texts(proxy, user)) == ["I like figs.", "I live in Lund."]


def test_a_bad_file_is_refused_with_its_line(proxy: Proxy, browser: Browser, user: str, tmp_path: Path) -> None:
    """And says what is wrong with it."""
    file = tmp_path / "bad.ndjson"
    file.write_text('{"texd": "I like figs."}\n')
    with opened(browser, proxy, user, "settings", forgiving=True) as page:
        page.locator("#import").set_input_files(file)
        expect(page.get_by_role("alert")).to_contain_text("line 1")


def test_when_the_proxy_is_gone_the_page_says_so(tmp_path: Path, upstream: FakeModel, browser: Browser) -> None:
    """And goes on when it is back."""
    with (
        running(tmp_path, {"model-a": upstream.url}, keys=None) as proxy,
        opened(browser, proxy, forgiving=True) as page,
    ):
        page.route("**/v1/**", lambda route: route.abort())
        page.get_by_role("link", name="Answers").click()
        expect(page.get_by_role("alert")).to_contain_text("The proxy does not answer")
        page.unroute("**/v1/**")
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("heading", name="No answers yet")).to_be_visible()


def test_another_space_can_be_shown(proxy: Proxy, browser: Browser, user: str) -> None:
    """Its memories and not the usual ones, until the usual one is asked for again."""
    add(proxy, user, "I keep bees.")
    with proxy.client(user, **{"X-Memory-Scope": "work"}) as client:
        client.post("/v1/memories", json={"text": "I lead the Apollo project."}).raise_for_status()
    with opened(browser, proxy, user, "settings") as page:
        page.get_by_label("Show the space").fill("work")
        page.keyboard.press("Enter")
        expect(page.get_by_role("link", name="Space: work")).to_be_visible()
        page.get_by_role("link", name="Memories").click()
        expect(card(page, "I lead the Apollo project.")).to_be_visible()
        expect(card(page, "I keep bees.")).to_have_count(0)
        page.get_by_role("link", name="Space: work").click()
        page.get_by_label("Show the space").fill("")
        page.get_by_role("button", name="Show", exact=True).click()
        page.get_by_role("link", name="Memories").click()
        expect(card(page, "I keep bees.")).to_be_visible()
        expect(page.get_by_text("Space: work")).to_have_count(0)
