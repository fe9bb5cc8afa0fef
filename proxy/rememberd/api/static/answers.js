// Recent answers: the question, what went in and why, what was learned; a wrong memory is corrected on the spot.
import { get } from "./api.js";
import { card, named } from "./card.js";
import { day, time } from "./dates.js";
import { el, emptyState, errorState, icon, skeleton } from "./dom.js";
import { ANSWERS, REASON } from "./strings.js";

const SHOWN = 200;
const LOOK_MS = 2000;

export function answersView() {
  const place = el("div", {}, skeleton(5));
  const search = el("input", { type: "search", placeholder: ANSWERS.search, "aria-label": ANSWERS.search, oninput: () => draw() });
  const element = el(
    "div",
    { class: "view" },
    el("div", { class: "head" }, el("div", {}, el("h1", {}, ANSWERS.title), el("p", { class: "muted" }, ANSWERS.lead))),
    el("div", { class: "filters" }, el("div", { class: "search" }, icon("search"), search)),
    place,
  );
  let receipts = [];
  let shown = "";

  async function load(opened = false) {
    try {
      const { data } = await get(`v1/receipts?limit=${SHOWN}`);
      const changed = JSON.stringify(data) !== shown;
      const busy = !opened && place.querySelector(".card.open") !== null; // somebody may be correcting it
      if (changed && !busy) {
        receipts = data;
        draw();
        shown = JSON.stringify(data);
      }
      const unfinished = data.some(({ write }) => write === "pending") || (changed && busy);
      if (unfinished) setTimeout(() => element.isConnected && load(), LOOK_MS);
    } catch (error) {
      shown = "";
      place.replaceChildren(errorState(error, load));
    }
  }

  function draw() {
    const open = new Set([...place.querySelectorAll("details[open]")].map((each) => each.dataset.receipt));
    if (!receipts.length) return place.replaceChildren(emptyState(ANSWERS.empty, ANSWERS.emptyText));
    const q = search.value.trim().toLowerCase();
    const found = receipts.filter((one) => !q || haystack(one).includes(q));
    if (!found.length) return place.replaceChildren(el("p", { class: "none", role: "status" }, ANSWERS.none(search.value)));
    place.replaceChildren(
      ...[...Map.groupBy(found, (one) => day(one.created_at))].map(([title, each]) =>
        el(
          "section",
          { "aria-label": title },
          el("h2", { class: "day" }, title),
          each.map((one) => receipt(one, open.has(one.id))),
        ),
      ),
    );
  }

  return { element, show: () => load(true) };
}

function haystack({ question, answer, model, app: client, recalled, written }) {
  const texts = [...recalled, ...written].map(({ text }) => text);
  return [question, answer, model, client, ...texts].filter(Boolean).join("\n").toLowerCase();
}

function receipt(one, open) {
  const learned =
    one.write === "pending"
      ? ANSWERS.learning
      : one.written.length
        ? ANSWERS.learnedSome(one.written.length)
        : ANSWERS.learnedNone;
  const about = [time(one.created_at), one.model, one.app, ANSWERS.counts(one.recalled.length, learned)];
  const title = el(
    "span",
    { class: "grow" },
    el("strong", { dir: "auto" }, one.question || ANSWERS.noQuestion),
    el("span", { class: "muted" }, about.filter(Boolean).join(" · ")),
  );
  const dot = el("span", { class: `dot ${one.status}`, "aria-hidden": "true" });
  const element = el("details", { class: "receipt", open, "data-receipt": one.id }, el("summary", {}, dot, title, icon("chevron")));
  const fill = () => element.open && element.childElementCount === 1 && element.append(...details(one));
  element.addEventListener("toggle", fill);
  fill();
  return element;
}

function details(one) {
  const facts = {
    [ANSWERS.row.answer]: one.answer,
    [ANSWERS.row.model]: one.model,
    [ANSWERS.row.app]: one.app,
    [ANSWERS.row.memory]: ANSWERS.status[one.status] ?? one.status,
    [ANSWERS.row.cost]: one.tokens,
    [ANSWERS.row.recall]: `${one.recall_ms} ms`,
    [ANSWERS.row.id]: one.id,
  };
  const shown = Object.entries(facts).filter(([, value]) => value);
  const rows = shown.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", { dir: "auto" }, value)));
  return [
    el("dl", {}, rows),
    el("h3", {}, ANSWERS.wentIn),
    one.recalled.some(({ deleted }) => !deleted) ? el("p", { class: "muted" }, ANSWERS.correct) : "",
    named(one.recalled, ANSWERS.noMemory, { wrap: because }),
    el("h3", {}, ANSWERS.learned),
    named(one.written, one.write === "pending" ? ANSWERS.reading : ANSWERS.nothingNew),
  ];
}

function because(memory) {
  const row = card(memory);
  if (memory.reason) row.append(el("p", { class: "score" }, REASON[memory.reason] ?? memory.reason));
  return row;
}
