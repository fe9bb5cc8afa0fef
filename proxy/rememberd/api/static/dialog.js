// A modal dialog. When it closes it leaves the page, and the focus goes back to where it was; if that is gone, to the view.
import { button, el } from "./dom.js";
import { UNDO } from "./strings.js";
import { failed } from "./toast.js";

export function showDialog(title, content) {
  const dialog = el("dialog", { "aria-labelledby": "dialog-title", onclose: ended }, content);
  content.prepend(el("h2", { id: "dialog-title" }, title));

  function ended() {
    dialog.remove();
    focusSomewhere();
  }

  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

// For what cannot be undone: it is done once `word` was typed. `act(form)` may leave its outcome in the form.
export function confirmTyped({ title, text, label, word, go }, act) {
  const same = () => field.value.trim().toLowerCase() === word.toLowerCase();
  const field = el("input", {
    id: "typed",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    oninput: () => (submit.disabled = !same()),
  });
  const submit = button(go, { type: "submit", class: "button danger solid", disabled: true });
  const cancel = button(UNDO.cancel, { onclick: () => dialog.close() });
  const buttons = el("div", { class: "row" }, submit, cancel);
  const form = el("form", { onsubmit: run }, el("p", {}, text), el("label", { for: "typed" }, label), field, buttons);
  const dialog = showDialog(title, form);

  async function run(event) {
    event.preventDefault();
    if (submit.disabled || !same()) return;
    submit.disabled = true;
    try {
      await act(form);
      if (form.contains(submit)) dialog.close();
    } catch (error) {
      dialog.close();
      failed(error);
    }
  }
}

// Nobody who uses the keyboard has to begin at the top of the page again.
export function focusSomewhere() {
  if (document.activeElement === document.body) document.getElementById("main")?.focus({ preventScroll: true });
}
