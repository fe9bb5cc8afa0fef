// For admins: who has memories, keys, dead letters and health. Never a text of anybody's.
import { call, get } from "./api.js";
import { appsList } from "./apps.js";
import { confirmTyped, showDialog } from "./dialog.js";
import { date } from "./dates.js";
import { button, count, el, errorState, icon, number, skeleton } from "./dom.js";
import { ADMIN, SETTINGS } from "./strings.js";
import { failed, toast } from "./toast.js";

export function adminView() {
  const element = el("div", { class: "view admin" }, el("div", { class: "head" }, el("h1", {}, ADMIN.title)));
  const parts = [users(), groups(), keys(), letters(), health()];
  element.append(...parts.map((part) => part.element));
  return { element, show: () => parts.forEach((part) => part.load()) };
}

// A panel that is filled each time it is shown.
function panel(title, fill) {
  const place = el("div", { class: "wide-table" }, skeleton(2));
  async function load() {
    try {
      place.replaceChildren(...(await fill(load)).filter(Boolean));
    } catch (error) {
      place.replaceChildren(errorState(error, load));
    }
  }
  return { element: el("section", { class: "panel", "aria-label": title }, el("h2", {}, title), place), load };
}

function table(names, rows, none) {
  if (!rows.length) return el("p", { class: "muted" }, none);
  const head = el("tr", {}, names.map((name) => el("th", { scope: "col" }, name)));
  const body = rows.map((row) => el("tr", {}, row.map((cell, at) => el("td", { dir: "auto", "data-name": names[at] }, cell ?? "–"))));
  return el("table", {}, el("thead", {}, head), el("tbody", {}, body));
}

function users() {
  return panel(ADMIN.users, async (reload) => {
    const data = [];
    let after = "";
    do {
      const page = await get(`admin/users?after=${encodeURIComponent(after)}`);
      data.push(...page.data);
      after = page.next_after;
    } while (after && data.length < 500);
    const rows = data.map((user) => [
      user.id,
      user.scopes.join(", "),
      number(user.memories),
      date(user.newest_at),
      button(ADMIN.apps, { onclick: () => apps(user) }),
      button(ADMIN.erase, { class: "button danger", onclick: () => erase(user, reload) }, icon("trash")),
    ]);
    return [table(ADMIN.userColumns, rows, ADMIN.noUsers), after ? el("p", { class: "muted" }, ADMIN.moreUsers) : null];
  });
}

async function apps(user) {
  try {
    const close = button(ADMIN.close, { onclick: () => dialog.close() });
    const dialog = showDialog(ADMIN.appsOf(user.id), el("form", {}, await appsList(user.id), close));
  } catch (error) {
    failed(error);
  }
}

function erase(user, reload) {
  const asked = { title: ADMIN.eraseTitle(user.id), text: ADMIN.eraseText, label: ADMIN.eraseLabel, word: user.id, go: ADMIN.eraseGo };
  confirmTyped(asked, async (form) => {
    const { deleted, proof } = await call("DELETE", `admin/users/${encodeURIComponent(user.id)}?verify=true`);
    form.replaceChildren(
      el("h2", { id: "dialog-title" }, ADMIN.erased(user.id, deleted)),
      el("p", {}, ADMIN.searched(proof)),
      table(ADMIN.leftColumns, proof.left.map(({ file, found }) => [file, found.join(", ")]), ADMIN.nothingLeft),
      el("div", { class: "row" }, button(ADMIN.close, { onclick: () => form.parentElement.close() })),
    );
    form.querySelector(".button").focus();
    reload();
  });
}

function keys() {
  return panel(ADMIN.keys, async (reload) => {
    const { data } = await get("admin/keys");
    const rows = data.map((key) => [
      key.name,
      key.user ?? ADMIN.namedByRequests,
      key.scopes?.join(", ") ?? ADMIN.all,
      ADMIN.may[key.memory],
      key.last_used_at ? date(key.last_used_at) : null,
      key.revoked_at ? ADMIN.revoked : key.configured ? ADMIN.configured : revoking(key, reload),
    ]);
    return [table(ADMIN.keyColumns, rows, ADMIN.noKeys), making(reload)];
  });
}

function groups() {
  return panel(ADMIN.groups, async () => {
    const { data } = await get("admin/groups");
    const rows = data.map(({ name, members, claim_role }) => [
      name,
      Object.entries(members).map(([user, role]) => `${user} (${role})`).join(", "),
      claim_role,
    ]);
    return [table(ADMIN.groupColumns, rows, ADMIN.noGroups)];
  });
}

function revoking(key, reload) {
  const revoke = () => call("DELETE", `admin/keys/${encodeURIComponent(key.id)}`).then(reload, failed);
  return button(ADMIN.revoke, { class: "button danger", onclick: revoke });
}

function making(reload) {
  const name = el("input", { id: "key-name", required: true, autocomplete: "off" });
  const user = el("input", { id: "key-user", required: true, autocomplete: "off" });
  const options = Object.entries(ADMIN.may).map(([value, text]) => el("option", { value }, text));
  const may = el("select", { id: "key-may" }, options);
  async function submit(event) {
    event.preventDefault();
    try {
      const asked = { name: name.value.trim(), user: user.value.trim(), memory: may.value };
      const { key } = await call("POST", "admin/keys", asked);
      await reload();
      toast(ADMIN.made(key), { stays: 120_000 });
    } catch (error) {
      failed(error);
    }
  }
  return el(
    "form",
    { class: "row", onsubmit: submit },
    el("label", { for: "key-name" }, ADMIN.keyName),
    name,
    el("label", { for: "key-user" }, ADMIN.keyUser),
    user,
    el("label", { for: "key-may" }, ADMIN.keyMay),
    may,
    button(ADMIN.make, { type: "submit" }),
  );
}

function letters() {
  return panel(ADMIN.letters, async (reload) => {
    const { data, total } = await get("admin/dead");
    const rows = data.map((one) => [date(one.created_at), one.user, one.scope, number(one.attempts), one.error]);
    const replay = () => call("POST", "admin/dead/replay").then(reload, failed);
    return [
      table(ADMIN.letterColumns, rows, ADMIN.noLetters),
      total ? button(ADMIN.replay(count(total, "turn")), { onclick: replay }) : null,
    ];
  });
}

// Readiness answers 503 with the same body when a part is down.
function health() {
  return panel(SETTINGS.health, async () => {
    const { parts } = await (await fetch("health/ready")).json();
    return [table(ADMIN.healthColumns, Object.entries(parts), "")];
  });
}
