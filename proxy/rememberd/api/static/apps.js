// The apps that use this memory, or for an admin that of `user`: when they were last seen, and what each may do.
import { call, get } from "./api.js";
import { date, time } from "./dates.js";
import { count, el } from "./dom.js";
import { APPS } from "./strings.js";
import { failed, toast } from "./toast.js";

export async function appsList(user) {
  const { data } = await get(user ? `admin/apps?user=${encodeURIComponent(user)}` : "v1/memories/apps");
  if (!data.length) return el("p", { class: "muted" }, APPS.none);
  const change = (app, rights) => changed(app, rights, user);
  return el("ul", { class: "apps" }, data.map((app) => row(app, change)));
}

function row(app, change) {
  const seen = APPS.seen(count(app.requests, "request"), `${date(app.last_seen_at)}, ${time(app.last_seen_at)}`, app.key);
  return el(
    "li",
    {},
    el("div", {}, el("strong", {}, app.name), el("p", { class: "muted" }, seen)),
    el("div", { class: "row" }, toggle(app, "reads", change), toggle(app, "writes", change), scope(app, change)),
  );
}

function toggle(app, right, change) {
  const id = `${right} ${app.name}`;
  const box = el("input", { id, type: "checkbox", role: "switch", checked: app[right], "aria-label": APPS[right](app.name) });
  box.addEventListener("change", async () => {
    if (!(await change(app, { [right]: box.checked }))) box.checked = !box.checked;
  });
  return el("label", { class: "switch", for: id }, box, el("span", {}, APPS.rights[right]));
}

function scope(app, change) {
  const field = el("input", {
    value: app.scope ?? "",
    placeholder: APPS.anyScope,
    "aria-label": APPS.scope(app.name),
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
  });
  field.addEventListener("change", async () => {
    if (!(await change(app, { scope: field.value.trim() || null }))) field.value = app.scope ?? "";
  });
  return field;
}

async function changed(app, rights, user) {
  const path = user ? "admin/apps" : "v1/memories/apps";
  try {
    Object.assign(app, await call("PATCH", path, { name: app.name, ...(user && { user }), ...rights }));
    toast(APPS.changed(app.name), { stays: 2500 });
    return true;
  } catch (error) {
    failed(error);
    return false;
  }
}
