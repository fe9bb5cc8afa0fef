// The timeline with its search, and a place to add a memory by hand.
import { call, get } from "./api.js";
import { card } from "./card.js";
import { button, count, el, emptyState, icon } from "./dom.js";
import { timeline } from "./timeline.js";
import { failed, toast } from "./toast.js";

const TYPING_MS = 200;
const KINDS = [
  ["", "All"],
  ["fact", "Facts"],
  ["episode", "Exchanges"],
];

export function memoriesView() {
  const summary = el("p", { class: "muted", role: "status" });
  const place = el("div", {});
  const paused = el(
    "div",
    { class: "notice", hidden: true },
    el("p", {}, "Memory is paused: nothing is recalled and nothing learned."),
    el("a", { href: "#settings" }, "Settings"),
  );
  const search = el("input", {
    id: "q",
    type: "search",
    placeholder: "Search your memories",
    autocomplete: "off",
    "aria-label": "Search your memories",
    oninput: typed,
  });
  const past = el("input", { id: "past", type: "checkbox", onchange: reset });
  const kinds = el(
    "div",
    { class: "segments", role: "group", "aria-label": "Kind" },
    KINDS.map(([value, label], at) =>
      button(label, { class: "segment", "aria-pressed": String(at === 0), onclick: () => choose(value) }),
    ),
  );
  const adder = el("div", {});
  let kind = "";
  let typing;
  let current;

  function typed() {
    clearTimeout(typing);
    typing = setTimeout(reset, TYPING_MS);
  }

  function choose(value) {
    kind = value;
    [...kinds.children].forEach((each, at) => each.setAttribute("aria-pressed", String(KINDS[at][0] === value)));
    reset();
  }

  function reset() {
    current?.stop();
    const q = search.value.trim();
    const filter = { ...(q && { q }), ...(kind && { kind }), ...(past.checked && { include_past: "true" }) };
    current = timeline(filter, {
      onend: (total) => total === 0 && nothing(q),
      onchange: (what) => (what ? reset() : numbers()),
    });
    place.replaceChildren(current.element);
    numbers();
  }

  async function numbers() {
    try {
      const stats = await get("v1/memories/stats");
      summary.textContent = `${count(stats.facts, "fact")}, ${count(stats.episodes, "exchange")}${stats.past ? `, ${count(stats.past, "past one")}` : ""}`;
      paused.hidden = !stats.paused;
    } catch {
      summary.textContent = ""; // the list below says what is wrong
    }
  }

  async function nothing(q) {
    if (!q) return place.replaceChildren(empty());
    const { data } = await call("POST", "v1/memories/search", { query: q, limit: 5 }).catch(() => ({ data: [] }));
    if (search.value.trim() !== q) return;
    const near = data.length
      ? [
          el("h2", { class: "day" }, "Closest in meaning"),
          el(
            "ul",
            { class: "near" },
            data.map((memory) => card(memory, { ongone: reset })),
          ),
        ]
      : [];
    place.replaceChildren(el("p", { class: "none", role: "status" }, `Nothing contains “${q}”.`), ...near);
  }

  function empty() {
    if (kind || past.checked) return el("p", { class: "none" }, "Nothing of this kind yet.");
    const chat = el("a", { class: "button primary", href: "#chat" }, icon("chat"), "Open the chat");
    const bring = el("a", { class: "button", href: "#settings" }, "Import");
    return emptyState(
      "Nothing remembered yet",
      "Tell any model something about yourself, here or in an app that is pointed at this proxy. What was said comes up a moment later.",
      chat,
      bring,
    );
  }

  function add() {
    const area = el("textarea", {
      rows: 2,
      placeholder: "I’m allergic to peanuts.",
      "aria-label": "Something to remember",
      dir: "auto",
    });
    const save = async (event) => {
      event.preventDefault();
      if (!area.value.trim()) return area.focus();
      try {
        await call("POST", "v1/memories", { text: area.value });
        close();
        reset();
        toast("Remembered", { stays: 2500 });
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
      button("Remember", { type: "submit", class: "button primary" }),
      button("Cancel", { onclick: close }),
    );
    adder.replaceChildren(
      el(
        "form",
        { class: "editor adder", onsubmit: save, onkeydown: (event) => event.key === "Escape" && close() },
        area,
        buttons,
      ),
    );
    area.focus();
  }

  const opener = button("Add", { class: "button", onclick: add }, icon("plus"));
  const element = el(
    "div",
    { class: "view" },
    el("div", { class: "head" }, el("div", {}, el("h1", {}, "Memories"), summary), opener),
    paused,
    adder,
    el(
      "div",
      { class: "filters" },
      el("div", { class: "search" }, icon("search"), search),
      kinds,
      el("label", { class: "check" }, past, "Past ones too"),
    ),
    place,
  );
  return { element, show: reset };
}
