// One memory: its text, where it came from, what it was used for, and everything its owner may do with it.
import { call, get, memoryPath } from "./api.js";
import { date, day, isoDay, startOf, time } from "./dates.js";
import { button, el, icon, iconButton } from "./dom.js";
import { isSelected, select } from "./selection.js";
import { CARD, TOPIC } from "./strings.js";
import { failed, toast } from "./toast.js";
import { deleteMemories } from "./undo.js";

// `ondraw(memory or null)`: it looks different now, or is gone; `onchange`: others may look different. Without `actions`
// it is for reading only.
export function card(memory, { onchange = () => {}, ondraw = () => {}, actions = true, picks = false } = {}) {
  const row = el("li", { class: "card", "data-memory": memory.id, "oncard-action": ({ detail }) => ACTIONS[detail]?.() });
  let open = false;

  function draw() {
    row.className = ["card", memory.kind, memory.valid_to && "past", memory.pinned && "pinned", open && "open"]
      .filter(Boolean)
      .join(" ");
    const toggle = el(
      "button",
      { type: "button", class: "words", "aria-expanded": String(open), onclick: flip },
      words(memory),
      icon("chevron"),
    );
    const line = el("div", { class: "line" }, picks ? pick() : null, toggle, actions ? quick() : null);
    row.replaceChildren(line, meta(memory), ...(open ? [details()] : []));
  }

  function flip() {
    open = !open;
    draw();
    row.querySelector(".words").focus();
  }

  function pick() {
    const box = el("input", {
      type: "checkbox",
      checked: isSelected(memory.id),
      "aria-label": `${CARD.select}: ${memory.text.slice(0, 80)}`,
      onchange: () => select(memory, box.checked),
    });
    return el("label", { class: "pick" }, box);
  }

  function quick() {
    const label = memory.pinned ? CARD.unpin : CARD.pin;
    const toggle = { "aria-pressed": String(memory.pinned), onclick: () => change({ pinned: !memory.pinned }, ".quick [aria-pressed]") };
    const pin = memory.valid_to ? null : iconButton("pin", label, toggle);
    return el("div", { class: "quick" }, pin, iconButton("trash", CARD.delete, { onclick: remove }));
  }

  function details() {
    const why = el("div", { class: "why" });
    const panel = el("div", { class: "details" }, origin(memory), el("dl", {}, rows(memory)), why);
    if (actions) panel.append(toolbar(), el("div", { class: "extra" }));
    explain(why);
    return panel;
  }

  async function explain(place) {
    try {
      const { exchange, uses, last_used, topic, person, aliases } = await get(`${memoryPath(memory.id)}/why`);
      const facts = {
        [CARD.row.used]: CARD.used(uses, last_used && date(last_used)),
        [CARD.row.topic]: TOPIC[topic],
        [CARD.row.person]: person,
        [CARD.row.aliases]: aliases.map((pair) => pair.join(" = ")).join(", "),
      };
      place.replaceChildren(el("dl", {}, pairs(facts)));
      if (exchange && memory.kind === "fact") place.append(told(exchange));
    } catch {
      place.remove(); // deleted meanwhile; the list says so
    }
  }

  function toolbar() {
    const past = Boolean(memory.valid_to);
    const tools = el("div", { class: "row" });
    if (past && (memory.kind === "fact" || memory.quarantined))
      tools.append(button(CARD.restore, { onclick: restore }, icon("check")));
    if (!past) {
      tools.append(button(CARD.edit, { onclick: edit }, icon("edit")));
      tools.append(
        button(memory.pinned ? CARD.unpin : CARD.pin, { onclick: () => change({ pinned: !memory.pinned }) }, icon("pin")),
      );
      const pressed = { "aria-pressed": String(memory.private), onclick: () => change({ private: !memory.private }) };
      tools.append(button(CARD.private, pressed, icon("lock")));
      tools.append(button(CARD.expiry, { onclick: expiry }, icon("clock")));
    }
    if (memory.kind === "fact") tools.append(button(CARD.history, { onclick: history }, icon("history")));
    tools.append(button(CARD.delete, { class: "button danger", onclick: remove }, icon("trash")));
    return tools;
  }

  function extra(...content) {
    row.querySelector(".extra").replaceChildren(...content);
  }

  function edit() {
    if (!open) flip();
    const area = el("textarea", { rows: 3, "aria-label": CARD.words, dir: "auto" });
    area.value = memory.text;
    const save = (event) => {
      event.preventDefault();
      change({ text: area.value });
    };
    const keys = (event) => {
      if (event.key === "Escape") draw();
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save(event);
    };
    const buttons = el(
      "div",
      { class: "row" },
      button(CARD.save, { type: "submit", class: "button primary" }),
      button(CARD.cancel, { onclick: draw }),
    );
    extra(el("form", { class: "editor", onsubmit: save, onkeydown: keys }, area, buttons));
    area.focus();
  }

  function expiry() {
    const id = `expiry-${memory.id}`;
    const input = el("input", { id, type: "date", value: memory.expires_at ? isoDay(memory.expires_at) : "" });
    const save = (event) => {
      event.preventDefault();
      const end = input.value && new Date(startOf(input.value, 1) - 1000);
      change({ expires_at: end ? end.toISOString() : null });
    };
    const buttons = el(
      "div",
      { class: "row" },
      button(CARD.set, { type: "submit", class: "button primary" }),
      button(CARD.never, { onclick: () => change({ expires_at: null }) }),
      button(CARD.cancel, { onclick: draw }),
    );
    extra(el("form", { class: "editor", onsubmit: save }, el("label", { for: id }, CARD.forgetAfter), input, buttons));
    input.focus();
  }

  async function history() {
    try {
      const { data } = await get(`${memoryPath(memory.id)}/history`);
      const past = data.map((each) => card(each, { onchange }));
      const nothing = el("p", { class: "muted" }, CARD.noHistory);
      extra(el("h3", {}, CARD.history), past.length ? el("ul", { class: "history" }, past) : nothing);
    } catch (error) {
      failed(error);
    }
  }

  async function restore() {
    if (await change({ valid_to: null })) onchange("restored");
  }

  async function change(fields, focus = ".words") {
    try {
      memory = await call("PATCH", memoryPath(memory.id), fields);
    } catch (error) {
      failed(error);
      return false;
    }
    draw();
    ondraw(memory);
    row.querySelector(focus)?.focus();
    toast("text" in fields ? CARD.corrected : CARD.saved, { stays: 2500 });
    return true;
  }

  async function remove() {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    if (!(await deleteMemories([memory]))) return row.querySelector(".words").focus();
    row.remove();
    ondraw(null);
    next?.querySelector(".words")?.focus();
  }

  const ACTIONS = { edit: () => actions && !memory.valid_to && edit(), delete: () => actions && remove() };
  draw();
  return row;
}

function words(memory) {
  if (memory.kind === "fact") return el("span", { class: "text", dir: "auto" }, memory.text);
  const [said, reply] = sides(memory);
  return el(
    "span",
    { class: "text" },
    el("span", { class: "said", dir: "auto" }, said),
    reply ? el("span", { class: "answer", dir: "auto" }, reply) : null,
  );
}

function sides(exchange) {
  const [said, answer] = exchange.text.replace(/^User: ?/, "").split("\nAssistant:");
  return [said.trim(), answer?.trim()];
}

function meta(memory) {
  const { client, model } = memory.source;
  const from = [app(client), model].filter(Boolean).join(" · ");
  const parts = [el("span", {}, memory.kind === "fact" ? CARD.fact : CARD.exchange), from && el("span", {}, from)];
  parts.push(el("time", { datetime: memory.created_at }, `${date(memory.created_at)}, ${time(memory.created_at)}`));
  if (memory.told_at) parts.push(el("span", {}, CARD.told(memory.told_at.length, date(memory.told_at.at(-1)))));
  const badge = (name, text) => parts.push(el("span", { class: "badge" }, icon(name), text));
  if (memory.group) badge("mark", CARD.group(memory.group, memory.contributor));
  if (memory.pinned) badge("pin", CARD.pinned);
  if (memory.private) badge("lock", CARD.private);
  if (memory.quarantined) badge("lock", CARD.quarantined);
  else if (memory.valid_to) badge("history", CARD.until(date(memory.valid_to)));
  if (memory.expires_at) badge("clock", CARD.expires(date(memory.expires_at)));
  return el("p", { class: "meta" }, parts.filter(Boolean));
}

// The name under which the list of apps has it: without a version.
export function app(client) {
  const name = client?.replace(/\/v?\d.*/, "");
  return name === "Mozilla" ? CARD.browser : name;
}

function origin(memory) {
  const { evidence } = memory;
  if (!evidence?.text || memory.kind === "episode") return null;
  return el(
    "figure",
    { class: "evidence" },
    el("figcaption", {}, evidence.turn_id ? CARD.said : CARD.byHand),
    el("blockquote", { dir: "auto" }, evidence.text),
  );
}

function told(exchange) {
  const [said, reply] = sides(exchange);
  return el(
    "details",
    { class: "told" },
    el("summary", {}, CARD.exchangeOf, icon("chevron")),
    el("p", { dir: "auto" }, said),
    reply ? el("p", { class: "muted", dir: "auto" }, reply) : null,
  );
}

function rows(memory) {
  const { client, model, conversation } = memory.source;
  const when = (at) => `${day(at)}, ${time(at)}`;
  return pairs({
    [CARD.row.app]: app(client),
    [CARD.row.model]: model,
    [CARD.row.conversation]: conversation,
    [CARD.row.slot]: memory.slot,
    [CARD.row.goes]: memory.private && CARD.row.goesPrivate,
    [CARD.row.since]: when(memory.valid_from),
    [CARD.row.until]: memory.valid_to && !memory.quarantined && when(memory.valid_to),
  });
}

function pairs(facts) {
  const shown = Object.entries(facts).filter(([, value]) => value);
  return shown.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", { dir: "auto" }, value)));
}

// Memories named by a receipt: those deleted since are an id alone.
export function named(memories, none, options = {}) {
  const gone = memories.filter((memory) => memory.deleted).length;
  const rows = memories.filter((memory) => !memory.deleted).map((memory) => options.wrap?.(memory) ?? card(memory, options));
  if (!memories.length) return el("p", { class: "muted" }, none);
  return el("div", {}, el("ul", {}, rows), gone ? el("p", { class: "muted" }, CARD.deletedSince(gone)) : null);
}
