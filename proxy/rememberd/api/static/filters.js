// What a list is narrowed to: by kind, app, model, scope, time and marks.
import { get, session } from "./api.js";
import { startOf } from "./dates.js";
import { button, el, icon } from "./dom.js";
import { MEMORIES } from "./strings.js";

const YES_OR_NO = ["pinned", "private", "quarantined"];

// `onchange` is called after each change; `values()` are query parameters.
export function filters(onchange) {
  const fields = {};
  const label = (name) => el("label", { for: `filter-${name}` }, MEMORIES.filter[name]);
  const choice = (name, options) => {
    fields[name] = el(
      "select",
      { id: `filter-${name}`, onchange: changed },
      el("option", { value: "" }, MEMORIES.any),
      options.map(([value, text]) => el("option", { value }, text)),
    );
    return el("div", {}, label(name), fields[name]);
  };
  const moment = (name) => {
    fields[name] = el("input", { id: `filter-${name}`, type: "date", onchange: changed });
    return el("div", {}, label(name), fields[name]);
  };
  const past = el("input", { id: "past", type: "checkbox", onchange: changed });
  const scope = el("a", { class: "button", href: "#settings" }, `${MEMORIES.filter.scope}: ${session.space || "default"}`);
  const place = el(
    "div",
    { class: "filter-fields" },
    choice("kind", Object.entries(MEMORIES.kinds)),
    choice("app", []),
    choice("model", []),
    moment("since"),
    moment("before"),
    YES_OR_NO.map((name) => choice(name, [["true", MEMORIES.yes], ["false", MEMORIES.no]])),
    el("label", { class: "check" }, past, MEMORIES.past),
    scope,
    button(MEMORIES.clearFilters, { class: "button quiet", onclick: clear }),
  );
  const title = el("span", {}, MEMORIES.filters(0));
  const element = el("details", { class: "filter", ontoggle: fill }, el("summary", { class: "button" }, icon("filter"), title), place);

  function changed() {
    title.textContent = MEMORIES.filters(Object.keys(values()).length);
    onchange();
  }

  async function fill() {
    if (!element.open || fields.app.options.length > 1) return;
    const found = await get("v1/memories/groups").catch(() => ({ apps: [], models: [] }));
    const add = (select, names) =>
      select.append(...names.map(({ name, count }) => el("option", { value: name }, `${name} (${count})`)));
    add(fields.app, found.apps);
    add(fields.model, found.models);
  }

  function clear() {
    for (const field of Object.values(fields)) field.value = "";
    past.checked = false;
    changed();
  }

  function values() {
    const given = Object.entries(fields).flatMap(([name, { value, type }]) =>
      value ? [[name, type === "date" ? dated(name, value) : value]] : [],
    );
    return { ...Object.fromEntries(given), ...(past.checked && { include_past: "true" }) };
  }

  // "Until" includes the day that is named.
  function dated(name, value) {
    return startOf(value, name === "before" ? 1 : 0).toISOString();
  }

  return { element, values };
}
