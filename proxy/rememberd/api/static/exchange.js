// One question and its answer in the chat: what went in, what came back, what was learned.
import { get, request } from "./api.js";
import { button, el, icon } from "./dom.js";
import { pieces } from "./stream.js";
import { CHAT, VIEW } from "./strings.js";

const LOOK_MS = 400;
const LOOKS = 300;

export async function ask(lane, text, options) {
  const answer = el("p", { class: "answer", dir: "auto", "aria-busy": "true" });
  const foot = el("div", { class: "after" });
  const injected = el("div", {});
  const turn = el(
    "article",
    { class: "turn" },
    el("p", { class: "mine", dir: "auto" }, text),
    injected,
    el("p", { class: "who" }, options.model),
    answer,
    foot,
  );
  lane.log.append(turn);
  away = false;
  follow(turn);
  lane.messages.push({ role: "user", content: text });
  try {
    const response = await send(lane.messages, options);
    injected.replaceChildren(went(response.headers));
    await write(answer, response);
    lane.messages.push({ role: "assistant", content: answer.textContent });
    foot.append(numbers(response.headers));
    explain(response.headers.get("X-Memory-Receipt"), injected, foot);
  } catch (error) {
    lane.messages.pop();
    refuse(error, answer, foot, () => {
      turn.remove();
      return ask(lane, text, options);
    });
  } finally {
    answer.removeAttribute("aria-busy");
    follow(turn);
  }
}

function send(messages, { model, memory, conversation, signal }) {
  const headers = { "Content-Type": "application/json", "X-Memory": memory, "X-Conversation-Id": conversation };
  const body = JSON.stringify({ model, messages, stream: true });
  return request("v1/chat/completions", { method: "POST", headers, body, signal });
}

async function write(answer, response) {
  for await (const piece of pieces(response)) {
    answer.append(piece);
    follow(answer);
  }
}

// Stays at the end of the page, unless somebody has scrolled back to read.
let away = false;
let top = 0;

window.addEventListener("scroll", () => {
  const { scrollTop, scrollHeight } = document.scrollingElement;
  if (scrollHeight - scrollTop - innerHeight < 40) away = false;
  else if (scrollTop < top) away = true;
  top = scrollTop;
});

function follow(element) {
  if (!away) element.scrollIntoView({ block: "end" });
}

function refuse(error, answer, foot, again) {
  if (error.name === "AbortError") return foot.append(el("p", { class: "muted" }, CHAT.stopped));
  answer.classList.add("failed");
  answer.append(error.message);
  foot.append(button(VIEW.retry, { onclick: again }));
}

function went(headers) {
  const status = headers.get("X-Memory-Status");
  if (status !== "hit") return el("p", { class: `went ${status}` }, CHAT.said[status] ?? CHAT.other(status));
  const [memories, tokens] = [Number(headers.get("X-Memory-Count")), Number(headers.get("X-Memory-Tokens"))];
  const summary = el(
    "summary",
    {},
    icon("mark"),
    CHAT.went(memories, tokens),
    icon("chevron"),
  );
  return el(
    "details",
    { class: "went hit" },
    summary,
    el("pre", { class: "block", dir: "auto", tabindex: "0" }, "…"),
  );
}

function numbers(headers) {
  const shown = [...headers].filter(
    ([name]) => name.startsWith("x-memory") || name === "x-proxy-overhead-ms" || name === "x-request-id",
  );
  const rows = shown.map(([name, value]) =>
    el(
      "div",
      {},
      el(
        "dt",
        {},
        name.replace(/(^|-)\w/g, (start) => start.toUpperCase()),
      ),
      el("dd", {}, value),
    ),
  );
  const summary = el("summary", {}, CHAT.added(headers.get("X-Proxy-Overhead-Ms")), icon("chevron"));
  return el("details", { class: "headers" }, summary, el("dl", {}, rows));
}

// The receipt: the block as the model got it, and what the writer makes of the turn, as soon as it is known.
async function explain(id, injected, foot) {
  if (!id) return;
  const learned = el("div", { class: "learned", role: "status" });
  foot.append(learned);
  for (let look = 0; look < LOOKS; look += 1) {
    const receipt = await get(`v1/receipts/${id}`).catch(() => null);
    if (receipt) {
      const block = injected.querySelector(".block");
      if (block) block.textContent = receipt.block || CHAT.gone;
      learned.replaceChildren(...outcome(receipt));
      follow(foot);
      if (receipt.write !== "pending") return;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

function outcome({ write, written }) {
  if (write === "pending") return [el("span", { class: "pulse" }), CHAT.learning];
  if (write === "off") return [CHAT.learnedNot];
  if (write === "lost") return [CHAT.lost];
  const facts = written.filter((memory) => memory.kind === "fact");
  if (facts.length)
    return [
      icon("check"),
      CHAT.learned,
      el(
        "ul",
        {},
        facts.map((fact) => el("li", { dir: "auto" }, fact.text)),
      ),
    ];
  return written.length ? [icon("check"), CHAT.kept] : [CHAT.nothing];
}
