// What wants a decision: new since the last visit, contradictions side by side, quarantined, expired, never used.
import { call, get, memoryPath, session } from "./api.js";
import { card } from "./card.js";
import { button, el, emptyState, errorState, icon, number, skeleton } from "./dom.js";
import { REVIEW } from "./strings.js";
import { failed } from "./toast.js";
import { deleteMemories } from "./undo.js";

const PILES = ["contradiction", "new", "quarantined", "expired", "unused"];
const seenKey = () => `rememberd.seen ${session.space}`;
const WEEK_MS = 7 * 86_400_000;

// Contradictions that the person decided to keep; this browser shows them no more.
const bothKey = () => `rememberd.both ${session.space}`;
const MOST_KEPT = 500;
const kept = () => JSON.parse(localStorage.getItem(bothKey()) ?? "[]");
const named = (pair) => pair.map(({ id }) => id).join(" ");

export const seen = () => localStorage.getItem(seenKey()) ?? new Date(Date.now() - WEEK_MS).toISOString();

export function review() {
  const place = el("div", {}, skeleton(4));

  async function load() {
    try {
      const found = await get(`v1/memories/review?${new URLSearchParams({ since: seen() })}`);
      const both = new Set(kept());
      const open = found.contradiction.data.filter((each) => !both.has(named(each)));
      found.contradiction.count -= found.contradiction.data.length - open.length;
      found.contradiction.data = open;
      const piles = PILES.filter((name) => found[name].count).map((name) => pile(name, found[name], found.now));
      place.replaceChildren(...(piles.length ? piles : [emptyState(REVIEW.done, REVIEW.doneText)]));
    } catch (error) {
      place.replaceChildren(errorState(error, load));
    }
  }

  function pile(name, { count, data }, now) {
    const head = el("div", { class: "pile-head" }, el("h2", {}, REVIEW[name]), el("span", { class: "badge" }, number(count)));
    if (name === "new") head.append(button(REVIEW.seen, { class: "button quiet", onclick: () => mark(now) }));
    const shown =
      name === "contradiction"
        ? data.map((each) => pair(each))
        : [el("ul", {}, data.map((memory) => item(name, memory)))];
    return el("section", { class: "pile group", "aria-label": REVIEW[name] }, head, el("p", { class: "muted" }, REVIEW.about[name]), shown);
  }

  function item(name, memory) {
    const row = card(memory, { picks: true, onchange: load, ondraw: (next) => next || load() });
    if (name === "quarantined") row.append(button(REVIEW.keep, { onclick: () => decide([], memory) }, icon("check")));
    return row;
  }

  function pair([older, newer]) {
    const side = (memory, other) =>
      el("div", {}, el("ul", {}, card(memory, { onchange: load })), button(REVIEW.keepThis, { onclick: () => decide([other]) }));
    const both = button(REVIEW.keepBoth, { class: "button quiet", onclick: () => keepBoth([older, newer]) });
    return el("div", { class: "pair" }, side(older, newer), side(newer, older), both);
  }

  async function decide(others, kept) {
    try {
      if (kept) await call("PATCH", memoryPath(kept.id), { valid_to: null });
      if (!others.length || (await deleteMemories(others))) load();
    } catch (error) {
      failed(error);
    }
  }

  function keepBoth(pair) {
    localStorage.setItem(bothKey(), JSON.stringify([...kept(), named(pair)].slice(-MOST_KEPT)));
    load();
  }

  function mark(now) {
    localStorage.setItem(seenKey(), now);
    load();
  }

  load();
  return { element: place, stop: () => {} };
}
