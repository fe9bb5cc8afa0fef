// One memory: its words, where it came from, and everything its owner may do with it.
import { call, get, memoryPath } from "./api.js";
import { button, count, date, day, el, icon, iconButton, time } from "./dom.js";
import { forgetSoon } from "./forget.js";
import { failed, toast } from "./toast.js";

// `ondraw(memory or null)`: it looks different now, or is out of sight; `onchange`: others may look different; `ongone`:
// it was deleted for good. Without `actions` it is for reading only.
export function card(memory, { onchange = () => {}, ongone = () => {}, ondraw = () => {}, actions = true } = {}) {
  const row = el("li", { class: "card", "data-memory": memory.id });
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
    const quick = actions && !memory.valid_to ? el("div", { class: "quick" }, pinButton(), deleteButton()) : null;
    row.replaceChildren(el("div", { class: "line" }, toggle, quick), meta(memory), ...(open ? [details()] : []));
  }

  function flip() {
    open = !open;
    draw();
    row.querySelector(".words").focus();
  }

  function pinButton() {
    const label = memory.pinned ? "Unpin" : "Pin";
    return iconButton("pin", label, {
      "aria-pressed": String(memory.pinned),
      onclick: () => change({ pinned: !memory.pinned }, ".quick [aria-pressed]"),
    });
  }

  function deleteButton() {
    return iconButton("trash", "Delete", { onclick: remove });
  }

  function details() {
    const panel = el("div", { class: "details" });
    panel.append(origin(memory), el("dl", {}, rows(memory)));
    if (actions) panel.append(toolbar(), el("div", { class: "extra" }));
    return panel;
  }

  function toolbar() {
    const past = Boolean(memory.valid_to);
    const tools = el("div", { class: "row" });
    if (past && (memory.kind === "fact" || memory.quarantined))
      tools.append(button("It holds again", { onclick: restore }, icon("check")));
    if (!past) {
      tools.append(button("Edit", { onclick: edit }, icon("edit")));
      tools.append(
        button(memory.pinned ? "Unpin" : "Pin", { onclick: () => change({ pinned: !memory.pinned }) }, icon("pin")),
      );
      tools.append(privateButton());
      tools.append(button("Expiry", { onclick: expiry }, icon("clock")));
    }
    if (memory.kind === "fact") tools.append(button("History", { onclick: history }, icon("history")));
    tools.append(button("Delete", { class: "button danger", onclick: remove }, icon("trash")));
    return tools;
  }

  function privateButton() {
    const pressed = { "aria-pressed": String(memory.private), onclick: () => change({ private: !memory.private }) };
    return button("Private", pressed, icon("lock"));
  }

  function extra(...content) {
    const place = row.querySelector(".extra");
    place.replaceChildren(...content);
    return place;
  }

  function edit() {
    const area = el("textarea", { rows: 3, "aria-label": "The memory’s words", dir: "auto" });
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
      button("Save", { type: "submit", class: "button primary" }),
      button("Cancel", { onclick: draw }),
    );
    extra(el("form", { class: "editor", onsubmit: save, onkeydown: keys }, area, buttons));
    area.focus();
  }

  function expiry() {
    const id = `expiry-${memory.id}`;
    const input = el("input", { id, type: "date", value: memory.expires_at?.slice(0, 10) ?? "" });
    const save = (event) => {
      event.preventDefault();
      change({ expires_at: input.value ? new Date(`${input.value}T23:59:59`).toISOString() : null });
    };
    const never = button("Never", { onclick: () => change({ expires_at: null }) });
    const buttons = el(
      "div",
      { class: "row" },
      button("Set", { type: "submit", class: "button primary" }),
      never,
      button("Cancel", { onclick: draw }),
    );
    extra(
      el("form", { class: "editor", onsubmit: save }, el("label", { for: id }, "Forget it after"), input, buttons),
    );
    input.focus();
  }

  async function history() {
    try {
      const { data } = await get(`${memoryPath(memory.id)}/history`);
      const past = data.map((each) => card(each, { onchange, ongone }));
      const nothing = el("p", { class: "muted" }, "It has never said anything else.");
      extra(el("h3", {}, "What it said before"), past.length ? el("ul", { class: "history" }, past) : nothing);
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
    toast("text" in fields ? "Corrected" : "Saved", { stays: 2500 });
    return true;
  }

  function remove() {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.hidden = true;
    next?.querySelector(".words")?.focus();
    ondraw(null);
    const back = () => {
      row.hidden = false;
      ondraw(memory);
      row.querySelector(".words").focus();
    };
    const gone = () => {
      row.remove();
      ongone();
    };
    forgetSoon(memory, { restore: back, gone });
  }

  draw();
  return row;
}

function words(memory) {
  if (memory.kind === "fact") return el("span", { class: "text", dir: "auto" }, memory.text);
  const [said, answer] = memory.text.replace(/^User: ?/, "").split("\nAssistant:");
  const reply = answer?.trim() ? el("span", { class: "answer", dir: "auto" }, answer.trim()) : null;
  return el("span", { class: "text" }, el("span", { class: "said", dir: "auto" }, said.trim()), reply);
}

function meta(memory) {
  const { client, model } = memory.source;
  const from = [app(client), model].filter(Boolean).join(" · ");
  const parts = [el("span", {}, memory.kind === "fact" ? "Fact" : "Exchange"), from && el("span", {}, from)];
  parts.push(el("time", { datetime: memory.created_at }, time(memory.created_at)));
  if (memory.pinned) parts.push(el("span", { class: "badge" }, icon("pin"), "Pinned"));
  if (memory.private) parts.push(el("span", { class: "badge" }, icon("lock"), "Private"));
  if (memory.quarantined) parts.push(el("span", { class: "badge" }, icon("lock"), "Set aside: reads like an order"));
  else if (memory.valid_to)
    parts.push(el("span", { class: "badge" }, icon("history"), `Until ${date(memory.valid_to)}`));
  if (memory.expires_at)
    parts.push(el("span", { class: "badge" }, icon("clock"), `Expires ${date(memory.expires_at)}`));
  return el("p", { class: "meta" }, parts.filter(Boolean));
}

// All browsers call themselves so.
const app = (client) => (client?.startsWith("Mozilla/") ? "Browser" : client);

function origin(memory) {
  const { evidence } = memory;
  if (!evidence?.text || memory.kind === "episode") return "";
  const who = evidence.turn_id ? "You said" : "Added by hand";
  return el(
    "figure",
    { class: "evidence" },
    el("figcaption", {}, who),
    el("blockquote", { dir: "auto" }, evidence.text),
  );
}

function rows(memory) {
  const { client, model, conversation } = memory.source;
  const facts = {
    App: app(client),
    Model: model,
    Conversation: conversation,
    About: memory.slot,
    Goes: memory.private && "Only to models on the operator’s own machines",
    "Holds since": `${day(memory.valid_from)}, ${time(memory.valid_from)}`,
    "Held until": memory.valid_to && !memory.quarantined && `${day(memory.valid_to)}, ${time(memory.valid_to)}`,
  };
  return Object.entries(facts).flatMap(([name, value]) =>
    value ? [el("div", {}, el("dt", {}, name), el("dd", { dir: "auto" }, value))] : [],
  );
}

// Memories named by a receipt: those deleted since are an id alone.
export function named(memories, none) {
  const gone = memories.filter((memory) => memory.deleted).length;
  const rows = memories.filter((memory) => !memory.deleted).map((memory) => card(memory, { actions: false }));
  if (!memories.length) return el("p", { class: "muted" }, none);
  return el(
    "div",
    {},
    el("ul", {}, rows),
    gone ? el("p", { class: "muted" }, `${count(gone, "memory", "memories")} deleted since`) : null,
  );
}
