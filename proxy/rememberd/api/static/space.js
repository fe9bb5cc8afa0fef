// Which of the user's scopes, or whose group's memories, this tab shows: work and home can be kept apart, each app by
// its X-Memory-Scope header.
import { get, session } from "./api.js";
import { button, el } from "./dom.js";
import { SETTINGS } from "./strings.js";

const PLAIN = "@?[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}"; // the dash is escaped: browsers read patterns with the v flag

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
  const groups = el("div", { class: "row" });
  listGroups(groups, show).catch(() => {}); // the form works without

  function enter(event) {
    event.preventDefault();
    return show(name.value.trim());
  }

  async function show(space) {
    const before = session.space;
    session.space = space;
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
    groups,
    refused,
  );
}

async function listGroups(place, show) {
  const { groups } = await get("v1/memories/settings");
  const go = ({ name, role }) => button(SETTINGS.scopeRole(name, role), { onclick: () => show(`@${name}`) });
  if (groups.length) place.replaceChildren(el("span", {}, SETTINGS.scopeGroups), ...groups.map(go));
}
