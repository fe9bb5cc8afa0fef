// Receipts of recent answers: which memories went in, what was learned.
import { get } from "./api.js";
import { named } from "./card.js";
import { count, day, el, emptyState, errorState, icon, skeleton, time } from "./dom.js";

const SHOWN = 50;
const LOOK_MS = 1000;
const STATUS = {
  hit: "Memory went in",
  miss: "Nothing to recall",
  degraded: "Went on without memory",
  off: "Memory off",
  skipped: "Side task",
};

export function answersView() {
  const place = el("div", {}, skeleton(5));
  const element = el(
    "div",
    { class: "view" },
    el(
      "div",
      { class: "head" },
      el(
        "div",
        {},
        el("h1", {}, "Answers"),
        el("p", { class: "muted" }, "What went into each recent answer, and what was learned from it."),
      ),
    ),
    place,
  );
  let shown = "";

  async function load() {
    try {
      const { data } = await get(`v1/receipts?limit=${SHOWN}`);
      if (JSON.stringify(data) !== shown) draw(data);
      shown = JSON.stringify(data);
      if (data.some(({ write }) => write === "pending")) setTimeout(() => element.isConnected && load(), LOOK_MS);
    } catch (error) {
      shown = "";
      place.replaceChildren(errorState(error, load));
    }
  }

  function draw(receipts) {
    const open = new Set([...place.querySelectorAll("details[open]")].map((each) => each.dataset.receipt));
    if (!receipts.length)
      return place.replaceChildren(
        emptyState("No answers yet", "Every answer given with memory leaves a receipt here."),
      );
    const days = grouped(receipts);
    place.replaceChildren(
      ...[...days].map(([title, each]) =>
        el(
          "section",
          { "aria-label": title },
          el("h2", { class: "day" }, title),
          each.map((one) => receipt(one, open.has(one.id))),
        ),
      ),
    );
  }

  return { element, show: load };
}

function grouped(receipts) {
  const days = new Map();
  for (const one of receipts) days.set(day(one.created_at), [...(days.get(day(one.created_at)) ?? []), one]);
  return days;
}

function receipt(one, open) {
  const learned =
    one.write === "pending" ? "learning…" : one.written.length ? `${one.written.length} learned` : "nothing learned";
  const title = el(
    "span",
    { class: "grow" },
    el("strong", {}, one.model),
    el(
      "span",
      { class: "muted" },
      `${time(one.created_at)} · ${count(one.recalled.length, "memory", "memories")} in · ${learned}`,
    ),
  );
  const summary = el(
    "summary",
    {},
    el("span", { class: `dot ${one.status}`, "aria-hidden": "true" }),
    title,
    icon("chevron"),
  );
  const facts = {
    Memory: STATUS[one.status] ?? one.status,
    Cost: count(one.tokens, "token"),
    Recall: `${one.recall_ms} ms`,
    Receipt: one.id,
  };
  const rows = Object.entries(facts).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
  return el(
    "details",
    { class: "receipt", open, "data-receipt": one.id },
    summary,
    el("dl", {}, rows),
    el("h3", {}, "Went in"),
    named(one.recalled, "No memory."),
    el("h3", {}, "Learned"),
    named(one.written, one.write === "pending" ? "Still being read." : "Nothing new."),
  );
}
