// Pause, numbers, moving house, and erasing everything.
import { call, get, request, session } from "./api.js";
import { button, count, date, el, errorState, icon, number, skeleton } from "./dom.js";
import { forgetNow } from "./forget.js";
import { spaceForm } from "./space.js";
import { failed, toast } from "./toast.js";

const WORD = "erase";

export function settingsView() {
  const place = el("div", {}, skeleton(4));
  const element = el("div", { class: "view" }, el("div", { class: "head" }, el("h1", {}, "Settings")), place);

  async function load() {
    try {
      const [stats, health] = await Promise.all([get("v1/memories/stats"), parts()]);
      place.replaceChildren(
        pause(stats, load),
        section("Space", spaceForm()),
        numbers(stats),
        condition(health),
        moving(load),
        erasing(load),
      );
    } catch (error) {
      place.replaceChildren(errorState(error, load));
    }
  }

  return { element, show: load };
}

// Readiness answers 503 with the same body when a part is down: that is news, not a failure of this page.
async function parts() {
  const response = await fetch("health/ready", { headers: session.headers() });
  return (await response.json()).parts;
}

function section(title, ...content) {
  return el("section", { class: "panel" }, el("h2", {}, title), content);
}

function pause(stats, reload) {
  const box = el("input", { id: "pause", type: "checkbox", role: "switch", checked: stats.paused, onchange: set });
  async function set() {
    try {
      const { paused } = await call("PUT", "v1/memories/settings", { paused: box.checked });
      toast(paused ? "Memory is paused" : "Memory is on again", { stays: 2500 });
    } catch (error) {
      failed(error);
    }
    reload();
  }
  const about = "While it is paused nothing is recalled and nothing learned, in any app. What is remembered stays.";
  return section(
    "Pause",
    el("label", { class: "switch", for: "pause" }, box, el("span", {}, "Pause my memory")),
    el("p", { class: "muted" }, about),
  );
}

function numbers({ facts, episodes, past, answers }) {
  const figures = [
    [facts, "facts"],
    [episodes, "exchanges"],
    [past, "past ones"],
    [answers.hits, "answers with memory"],
    [answers.tokens, "tokens of memory"],
    [answers.pending, "waiting to be learned"],
  ];
  const since = answers.since
    ? `Answers and tokens: the newest ${count(answers.count, "answer")}, since ${date(answers.since)}.`
    : "No answers yet.";
  return section(
    "In numbers",
    el(
      "dl",
      { class: "figures" },
      figures.map(([value, name]) => el("div", {}, el("dt", {}, name), el("dd", {}, number(value)))),
    ),
    el("p", { class: "muted" }, since),
  );
}

function condition(health) {
  const rows = Object.entries(health).map(([name, state]) =>
    el(
      "li",
      {},
      el("span", { class: `dot ${state === "ok" ? "hit" : "degraded"}`, "aria-hidden": "true" }),
      el("span", {}, name),
      el("span", { class: "muted" }, state),
    ),
  );
  return section("Condition", el("ul", { class: "parts" }, rows));
}

function moving(reload) {
  const file = el("input", {
    id: "import",
    type: "file",
    accept: ".ndjson,.jsonl,.json,application/x-ndjson",
    class: "hidden-file",
    onchange: bring,
  });
  const result = el("div", { role: "status" });

  async function take() {
    try {
      await forgetNow();
      const response = await request("v1/memories/export");
      const link = el("a", {
        href: URL.createObjectURL(await response.blob()),
        download: `memories-${new Date().toISOString().slice(0, 10)}.ndjson`,
      });
      link.click();
      URL.revokeObjectURL(link.href);
    } catch (error) {
      failed(error);
    }
  }

  async function bring() {
    if (!file.files.length) return;
    result.replaceChildren(skeleton(1));
    try {
      const response = await request("v1/memories/import", { method: "POST", body: file.files[0] });
      const { added, merged, errors } = await response.json();
      await reload();
      toast(
        `Imported: ${number(added)} added, ${number(merged)} known before${errors.length ? `, ${count(errors.length, "line")} refused; the first is line ${errors[0].line}: ${errors[0].message}` : ""}`,
        { stays: 9000 },
      );
    } catch (error) {
      result.replaceChildren(el("p", { class: "problem", role: "alert" }, error.message));
    }
    file.value = "";
  }

  const buttons = el(
    "div",
    { class: "row" },
    button("Export", { onclick: take }),
    button("Import", { onclick: () => file.click() }),
    el("label", { for: "import", class: "visually-hidden" }, "A file of memories to import"),
    file,
  );
  return section(
    "Take it with you",
    el(
      "p",
      { class: "muted" },
      "Everything as NDJSON, one memory a line, past ones too; the same file can be imported here or elsewhere.",
    ),
    buttons,
    result,
  );
}

function erasing(reload) {
  const word = el("input", {
    id: "word",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    oninput: check,
  });
  const erase = button("Erase everything", { type: "submit", class: "button danger solid", disabled: true });
  const cancel = button("Cancel", { onclick: () => dialog.close() });
  const text =
    "Every memory, receipt and waiting turn of yours in every space is deleted. Nothing of it can be had back.";
  const form = el(
    "form",
    { onsubmit: go },
    el("h2", { id: "erase-title" }, "Erase everything?"),
    el("p", {}, text),
    el("label", { for: "word" }, `Type “${WORD}” to go on`),
    word,
    el("div", { class: "row" }, erase, cancel),
  );
  const dialog = el("dialog", { "aria-labelledby": "erase-title" }, form);

  function check() {
    erase.disabled = word.value.trim().toLowerCase() !== WORD;
  }

  async function go(event) {
    event.preventDefault();
    check();
    if (erase.disabled) return;
    try {
      const { deleted } = await call("DELETE", "v1/memories");
      dialog.close();
      toast(`Erased: ${count(deleted, "memory", "memories")}`);
      reload();
    } catch (error) {
      failed(error);
    }
  }

  const open = button(
    "Erase everything…",
    { class: "button danger", onclick: () => dialog.showModal() },
    icon("trash"),
  );
  return section(
    "Erase",
    el("p", { class: "muted" }, "To begin anew. Export first what you want to keep."),
    open,
    dialog,
  );
}
