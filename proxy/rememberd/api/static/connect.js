// What to write into a client's settings, with the address of this proxy and the key of this tab, to be copied.
import { get, session } from "./api.js";
import { button, el, errorState, skeleton } from "./dom.js";
import { CONNECT } from "./strings.js";
import { toast } from "./toast.js";

const QUOTED = {
  json: (value) => JSON.stringify(value).slice(1, -1),
  shell: (value) => value.replaceAll("'", "'\\''"),
};

export function connectView() {
  const place = el("div", {}, skeleton(4));
  const head = el("div", {}, el("h1", {}, CONNECT.title), el("p", { class: "muted" }, CONNECT.lead));
  const element = el("div", { class: "view" }, el("div", { class: "head" }, head), place);

  async function show(wanted) {
    try {
      const [clients, models] = await Promise.all([get("page/clients.json"), get("v1/models")]);
      place.replaceChildren(chosen(clients, models.data.map((each) => each.id), wanted));
    } catch (error) {
      place.replaceChildren(errorState(error, () => show(wanted)));
    }
  }

  return { element, show };
}

function chosen(clients, models, wanted) {
  const client = choice("client", CONNECT.client, clients.map((each) => [each.name, each.title]), wanted);
  const model = choice("connect-model", CONNECT.model, models.map((each) => [each, each]));
  const text = el("pre", { id: "client-settings", class: "block", role: "region", tabindex: "0", "aria-label": CONNECT.settings });
  const where = el("p", { class: "muted" });
  const note = el("p", {});
  const copy = button(CONNECT.copy, { class: "button primary", onclick: () => copied(text) });

  function fill() {
    const settings = clients.find((each) => each.name === client.select.value);
    text.textContent = filled(settings, model.select.value);
    where.textContent = CONNECT.where(settings.where);
    note.textContent = settings.note;
  }

  client.select.addEventListener("change", fill);
  model.select.addEventListener("change", fill);
  fill();
  const about = known() ? null : el("p", { class: "muted" }, CONNECT.noKey);
  return el("section", { class: "panel" }, el("div", { class: "row" }, client.label, model.label), where, text, copy, note, about);
}

function choice(id, title, options, wanted) {
  const select = el("select", { id }, options.map(([value, name]) => el("option", { value, selected: value === wanted }, name)));
  return { label: el("label", { for: id }, title, select), select };
}

// Somebody who signed in with an account has no key to show; without keys any word will do.
const known = () => session.key || !session.account.user;

function filled({ text, quotes }, model) {
  const key = session.key || (session.account.user ? CONNECT.yourKey : "local");
  const values = { URL: new URL(".", location.href).href.replace(/\/$/, ""), KEY: key, MODEL: model || CONNECT.yourModel };
  return text.replace(/@(URL|KEY|MODEL)@/g, (_, name) => QUOTED[quotes](values[name]));
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text.textContent);
    toast(CONNECT.copied, { stays: 2500 });
  } catch {
    getSelection().selectAllChildren(text); // browsers copy by themselves on secure pages only
    toast(CONNECT.selected);
  }
}
