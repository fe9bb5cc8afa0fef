// "What would be recalled for this message?": the block, each memory's score and cost, and what just missed it.
import { call } from "./api.js";
import { card } from "./card.js";
import { button, count, el, errorState, skeleton } from "./dom.js";
import { forgetNow } from "./forget.js";

export function previewView() {
  const area = el("textarea", {
    id: "message",
    rows: 2,
    dir: "auto",
    placeholder: "Which snacks should I avoid?",
    onkeydown: enter,
  });
  const result = el("div", { "aria-live": "polite" });

  function enter(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      look();
    }
  }

  async function look(event) {
    event?.preventDefault();
    if (!area.value.trim()) return area.focus();
    result.replaceChildren(skeleton(3));
    try {
      await forgetNow();
      result.replaceChildren(...shown(await call("POST", "v1/memories/preview", { text: area.value })));
    } catch (error) {
      result.replaceChildren(errorState(error, look));
    }
  }

  const form = el(
    "form",
    { class: "editor", onsubmit: look },
    el("label", { for: "message" }, "A message"),
    area,
    button("What would be recalled?", { type: "submit", class: "button primary" }),
  );
  const lead = el(
    "p",
    { class: "muted" },
    "What a model would get to know if you sent it this message now. Nothing is sent and nothing kept.",
  );
  return {
    element: el("div", { class: "view" }, el("div", { class: "head" }, el("h1", {}, "Preview")), lead, form, result),
    show: () => area.focus(),
  };
}

function shown({ status, block, tokens, recall_ms, memories, left_out }) {
  if (status === "degraded")
    return [
      el(
        "div",
        { class: "failure", role: "alert" },
        el("p", {}, "Memory did not answer in time. A chat would go on without it."),
      ),
    ];
  const cost = `${count(tokens, "token")}, found in ${recall_ms} ms`;
  const title = memories.length
    ? `${count(memories.length, "memory", "memories")} would go in`
    : "No memory would go in";
  const summary = el(
    "div",
    { class: "verdict" },
    el("h2", {}, title),
    el("p", { class: "muted" }, memories.length ? cost : "Nothing that is remembered has to do with this message."),
  );
  return [summary, scored(memories), block ? the(block) : null, ...near(left_out)].filter(Boolean);
}

function the(block) {
  return el(
    "details",
    { class: "went hit" },
    el("summary", {}, "The block, word for word"),
    el("pre", { class: "block", dir: "auto", tabindex: "0" }, block),
  );
}

function near(left_out) {
  return left_out.length ? [el("h2", { class: "day" }, "Came near, stays out"), scored(left_out)] : [];
}

function scored(memories) {
  return el(
    "ul",
    { class: "scored" },
    memories.map((memory) => {
      const row = card(memory, { actions: false });
      row.append(bar(memory));
      return row;
    }),
  );
}

// Cosines of what belongs together lie between about .2 and .8 with this embedder.
function bar({ score, tokens }) {
  const fill = el("span", { class: "fill" });
  fill.style.width = `${Math.round(Math.max(0, Math.min(1, score ?? 0)) * 100)}%`;
  const said = score === null ? "always goes in" : `nearness ${score.toFixed(2)}`;
  return el(
    "p",
    { class: "score" },
    el("span", { class: "bar", "aria-hidden": "true" }, fill),
    el("span", {}, `${said} · ${count(tokens, "token")}`),
  );
}
