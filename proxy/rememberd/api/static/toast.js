import { button, el, iconButton } from "./dom.js";
import { VIEW } from "./strings.js";

const STAYS_MS = 6000;

// `action` is a label and what it does; `ended` is called once it is too late for it. Returns what closes it early.
export function toast(message, { action, onaction, ended = () => {}, stays = STAYS_MS } = {}) {
  let left = stays;
  let since = Date.now();
  let timer;
  const close = (then) => {
    clearTimeout(timer);
    if (element.isConnected) element.remove();
    then();
  };
  const wait = () => {
    since = Date.now();
    timer = setTimeout(() => close(ended), left);
  };
  const hold = () => {
    clearTimeout(timer);
    left = Math.max(1500, left - (Date.now() - since));
  };
  const act = action && button(action, { class: "button quiet", onclick: () => close(onaction) });
  const dismiss = iconButton("close", VIEW.dismiss, { onclick: () => close(ended) });
  const element = el(
    "div",
    { class: "toast", onfocusin: hold, onfocusout: wait, onpointerenter: hold, onpointerleave: wait },
    el("p", {}, message),
    act,
    dismiss,
  );
  document.getElementById("toasts").append(element);
  wait();
  return () => close(() => {});
}

export const failed = (error) => toast(error.message, { stays: 9000 });
