// A chat to try the memory in: any model, memory on, off or both side by side, and what it cost and taught.
import { get } from "./api.js";
import { button, el, emptyState, icon } from "./dom.js";
import { ask } from "./exchange.js";
import { CHAT } from "./strings.js";
import { failed } from "./toast.js";

const MODES = Object.entries(CHAT.modes);

export function chatView() {
  const models = el("select", { id: "model" });
  const modes = el(
    "div",
    { class: "segments", role: "group", "aria-label": CHAT.memory },
    MODES.map(([value, label], at) =>
      button(label, { class: "segment", "aria-pressed": String(at === 0), onclick: () => choose(value) }),
    ),
  );
  const lanes = el("div", { class: "lanes" });
  const area = el("textarea", {
    id: "say",
    rows: 1,
    placeholder: CHAT.placeholder,
    "aria-label": CHAT.label,
    dir: "auto",
    oninput: grow,
    onkeydown: enter,
  });
  const go = el("button", { type: "submit", class: "button primary round", "aria-label": CHAT.send }, icon("send"));
  let mode = "on";
  let running = null;
  let talk;

  function begin() {
    running?.abort();
    talk = { id: `page-${crypto.randomUUID()}`, lanes: new Map() };
    lanes.replaceChildren(welcome());
    area.focus();
  }

  function welcome() {
    const tries = CHAT.tries.map((text) => button(text, { class: "button quiet", onclick: () => suggest(text) }));
    return emptyState(CHAT.empty, CHAT.emptyText, ...tries);
  }

  // Nothing is sent before the person sends it.
  function suggest(text) {
    area.value = text;
    grow();
    area.focus();
  }

  function choose(value) {
    mode = value;
    [...modes.children].forEach((each, at) => each.setAttribute("aria-pressed", String(MODES[at][0] === value)));
    if (talk.lanes.size) arrange();
  }

  // "both" has a lane for each; else one lane goes on whether memory is on or off.
  function arrange() {
    const wanted = mode === "both" ? ["main", "off"] : ["main"];
    for (const name of wanted) if (!talk.lanes.has(name)) talk.lanes.set(name, lane(name));
    lanes.classList.toggle("two", mode === "both");
    lanes.replaceChildren(...wanted.map((name) => talk.lanes.get(name).element));
    talk.lanes.get("main").title.hidden = mode !== "both";
    return wanted.map((name) => talk.lanes.get(name));
  }

  function lane(name) {
    const title = el("h2", { class: "lane-title" }, name === "main" ? CHAT.withMemory : CHAT.withoutMemory);
    const log = el("div", {
      class: "log",
      role: "log",
      "aria-label": name === "main" ? CHAT.log : CHAT.logOff,
    });
    const memory = () => (name === "off" || mode === "off" ? "off" : "on");
    return { name, title, log, memory, messages: [], element: el("section", { class: "lane" }, title, log) };
  }

  async function submit(text) {
    if (running || !text.trim() || !models.value) return;
    area.value = "";
    grow();
    running = new AbortController();
    sending(true);
    const options = { model: models.value, conversation: talk.id, signal: running.signal };
    await Promise.all(arrange().map((each) => ask(each, text.trim(), { ...options, memory: each.memory() })));
    running = null;
    sending(false);
  }

  function sending(busy) {
    go.replaceChildren(icon(busy ? "stop" : "send"));
    go.setAttribute("aria-label", busy ? CHAT.stop : CHAT.send);
  }

  function send(event) {
    event.preventDefault();
    if (running) running.abort();
    else submit(area.value);
  }

  function enter(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      if (!running) submit(area.value);
    }
  }

  function grow() {
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight + 2, 200)}px`;
  }

  async function load() {
    if (models.options.length) return;
    try {
      const { data } = await get("v1/models");
      models.replaceChildren(
        ...data.filter(({ id }) => !id.includes("*")).map(({ id }) => el("option", { value: id }, id)),
      );
      if (!models.options.length)
        lanes.replaceChildren(
          el(
            "div",
            { class: "notice" },
            el("p", {}, CHAT.noModel),
          ),
        );
    } catch (error) {
      failed(error);
    }
  }

  const bar = el(
    "div",
    { class: "filters" },
    el("label", { class: "field", for: "model" }, CHAT.model),
    models,
    modes,
    button(CHAT.fresh, { onclick: () => begin() }, icon("plus")),
  );
  const form = el("form", { class: "say", onsubmit: send }, el("div", {}, area, go));
  const element = el(
    "div",
    { class: "view chat" },
    el("div", { class: "head" }, el("h1", {}, CHAT.title)),
    bar,
    lanes,
    form,
  );
  begin();
  return { element, show: load };
}
