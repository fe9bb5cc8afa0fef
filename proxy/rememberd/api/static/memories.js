// What is remembered: facts by topic, person or time, the exchanges, what wants a decision; one search over all.
import { call, get } from "./api.js";
import { card } from "./card.js";
import { button, el, emptyState, icon } from "./dom.js";
import { filters } from "./filters.js";
import { groups, none } from "./groups.js";
import { review } from "./review.js";
import { clearSelection } from "./selection.js";
import { MEMORIES, UNDO } from "./strings.js";
import { timeline } from "./timeline.js";
import { failed, toast } from "./toast.js";
import { lastAction, undoLast } from "./undo.js";

const TYPING_MS = 200;
const FOUND = 50; // of a search
const NEAR = 0.25; // cosine; what is farther and shares no word is not shown
const WORDED = 0.02; // of the score, by words

export function memoriesView() {
  const summary = el("p", { class: "muted", role: "status" });
  const place = el("div", {});
  const back = el("div", { class: "back" });
  const paused = el(
    "div",
    { class: "notice", hidden: true },
    el("p", {}, MEMORIES.paused),
    el("a", { href: "#settings" }, MEMORIES.settings),
  );
  const search = el("input", {
    id: "q",
    type: "search",
    placeholder: MEMORIES.search,
    autocomplete: "off",
    "aria-label": MEMORIES.search,
    oninput: typed,
  });
  const filter = filters(reset);
  const modes = el(
    "div",
    { class: "segments", role: "group", "aria-label": MEMORIES.show },
    Object.entries(MEMORIES.modes).map(([name, label]) => button(label, { class: "segment", "data-mode": name, onclick: () => choose(name) })),
  );
  const adder = el("div", {});
  const opener = button(MEMORIES.add, { class: "button", onclick: add }, icon("plus"));
  let mode = "topics";
  let stats = {};
  let counting;
  let typing;
  let current;

  // The review has piles of its own.
  const chosen = () => (mode === "review" ? {} : filter.values());

  function typed() {
    clearTimeout(typing);
    typing = setTimeout(reset, TYPING_MS);
  }

  function choose(name) {
    search.value = "";
    if (location.hash === `#memories/${name}`) show(name);
    else location.hash = `#memories/${name}`;
  }

  function show(name) {
    mode = name in MEMORIES.modes ? name : "topics";
    for (const each of modes.children) each.setAttribute("aria-pressed", String(each.dataset.mode === mode));
    filter.element.hidden = mode === "review";
    reset();
  }

  async function reset() {
    current?.stop();
    clearSelection();
    counting = numbers();
    const q = search.value.trim();
    current = q ? searched(q) : listed();
    place.replaceChildren(current.element);
  }

  function listed() {
    const wanted = chosen();
    const onchange = (what) => (what ? reset() : numbers());
    if (mode === "review") return review();
    if ((mode === "topics" || mode === "people") && !Object.keys(wanted).length)
      return groups(mode === "topics" ? "topic" : "person", wanted, { onchange, onempty: nothing });
    const kind = mode === "exchanges" ? "episode" : "fact";
    return timeline({ kind, ...wanted }, { onchange, onend: (total) => total === 0 && nothing(0) });
  }

  async function nothing(facts) {
    await counting;
    if (!stats.facts && !stats.episodes && !stats.past) return place.replaceChildren(empty());
    const text = Object.keys(chosen()).length ? MEMORIES.none : none(mode === "people" ? "person" : "topic");
    const others = mode === "topics" && !facts && stats.episodes;
    place.replaceChildren(
      el("p", { class: "none", role: "status" }, text),
      others ? button(MEMORIES.showExchanges(stats.episodes), { onclick: () => choose("exchanges") }) : "",
    );
  }

  // One list, the best first: what holds the words as they are typed, then what is near by words or meaning.
  function searched(q) {
    const list = el("ul", { class: "near" });
    const told = el("p", { class: "muted", role: "status" });
    const wanted = chosen();
    const find = async () => {
      try {
        const [ranked, literal] = await Promise.all([
          call("POST", "v1/memories/search", { query: q, limit: FOUND, ...wanted }),
          get(`v1/memories?${new URLSearchParams({ ...wanted, q, limit: FOUND })}`),
        ]);
        if (search.value.trim() !== q) return;
        const holds = new Set(literal.data.map(({ id }) => id));
        const near = ranked.data.filter(({ id, score, parts }) => holds.has(id) || score >= NEAR || parts.words > WORDED);
        const rest = literal.data.filter(({ id }) => !near.some((each) => each.id === id));
        const found = [...near.filter(({ id }) => holds.has(id)), ...rest, ...near.filter(({ id }) => !holds.has(id))];
        told.textContent = found.length ? MEMORIES.found(found.length) : MEMORIES.noneFound(q);
        list.replaceChildren(...found.map((memory) => card(memory, { picks: true, onchange: find })));
      } catch (error) {
        failed(error);
      }
    };
    find();
    return { element: el("div", {}, told, list), stop: () => {} };
  }

  async function numbers() {
    const action = lastAction();
    back.replaceChildren(action ? button(MEMORIES.undo(action.said), { class: "button quiet", onclick: undoLast }, icon("history")) : "");
    try {
      stats = await get("v1/memories/stats");
      summary.textContent = MEMORIES.summary(stats);
      paused.hidden = !stats.paused;
    } catch {
      summary.textContent = ""; // the list below says what is wrong
    }
  }

  function empty() {
    const paste = el("a", { class: "button primary", href: "#settings/paste" }, icon("edit"), MEMORIES.paste);
    const bring = el("a", { class: "button", href: "#settings/import" }, icon("plus"), MEMORIES.import);
    const chat = el("a", { class: "button", href: "#chat" }, icon("chat"), MEMORIES.openChat);
    return emptyState(MEMORIES.empty, MEMORIES.emptyText, paste, bring, chat);
  }

  function add() {
    const area = el("textarea", { rows: 2, placeholder: MEMORIES.addExample, "aria-label": MEMORIES.addLabel, dir: "auto" });
    const save = async (event) => {
      event.preventDefault();
      if (!area.value.trim()) return area.focus();
      try {
        await call("POST", "v1/memories", { text: area.value });
        close();
        reset();
        toast(MEMORIES.remembered, { stays: 2500 });
      } catch (error) {
        failed(error);
      }
    };
    const close = () => {
      adder.replaceChildren();
      opener.focus();
    };
    const buttons = el(
      "div",
      { class: "row" },
      button(MEMORIES.remember, { type: "submit", class: "button primary" }),
      button(UNDO.cancel, { onclick: close }),
    );
    const form = { class: "editor adder", onsubmit: save, onkeydown: (event) => event.key === "Escape" && close() };
    adder.replaceChildren(el("form", form, area, buttons));
    area.focus();
  }

  const element = el(
    "div",
    { class: "view" },
    el("div", { class: "head" }, el("div", {}, el("h1", {}, MEMORIES.title), summary), opener),
    paused,
    adder,
    el("div", { class: "filters" }, el("div", { class: "search" }, icon("search"), search), modes, filter.element),
    back,
    place,
  );
  window.addEventListener("memories-changed", ({ detail: gone }) => {
    if (!element.isConnected) return;
    if (!gone) return reset();
    current?.gone?.(gone);
    for (const id of gone) for (const row of place.querySelectorAll(`[data-memory="${CSS.escape(id)}"]`)) row.remove();
    numbers();
  });
  return { element, show };
}
