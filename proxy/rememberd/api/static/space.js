// Which of the user's scopes this tab shows: work and home can be kept apart, each app by its X-Memory-Scope header.
import { get, session } from "./api.js";
import { button, el } from "./dom.js";
import { SETTINGS } from "./strings.js";

const PLAIN = "[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}"; // the dash is escaped: browsers read patterns with the v flag

export function spaceForm() {
  const name = el("input", {
    id: "space",
    value: session.space,
    placeholder: "default",
    pattern: PLAIN,
    title: SETTINGS.scopeRule,
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
  });
  const refused = el("div", { role: "status" });

  async function enter(event) {
    event.preventDefault();
    const before = session.space;
    session.space = name.value.trim();
    try {
      await get("v1/memories/settings");
      window.dispatchEvent(new CustomEvent("space-entered"));
    } catch (error) {
      session.space = before;
      refused.replaceChildren(el("p", { class: "problem", role: "alert" }, error.message));
    }
  }

  return el(
    "form",
    { class: "editor", onsubmit: enter },
    el("p", { class: "muted" }, SETTINGS.scopeAbout),
    el("label", { for: "space" }, SETTINGS.scopeLabel),
    el("div", { class: "row" }, name, button(SETTINGS.scopeGo, { type: "submit" })),
    refused,
  );
}
