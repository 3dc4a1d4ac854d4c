// Keys: one table, switched off inside fields, and altogether where somebody wants that (WCAG 2.1.4).
import { signal } from "./vendor/signals.mjs";

export const singleKeys = signal(localStorage.getItem("keys") !== "off");
export function setSingleKeys(on) {
  singleKeys.value = on;
  localStorage.setItem("keys", on ? "on" : "off");
}

const table = new Map(); // "g f" → action
let prefix = null, prefixTimer = null;

/** Bind keys until the answered function is called: `{"?": …, "g f": …, "Ctrl k": …}`. */
export function bind(bindings) {
  for (const [keys, action] of Object.entries(bindings)) table.set(keys, action);
  return () => { for (const [keys, action] of Object.entries(bindings)) if (table.get(keys) === action) table.delete(keys); };
}

const inField = (target) => target.closest?.("input:not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable]");

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.altKey || event.isComposing) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    const action = table.get(`Ctrl ${key}`);
    if (action) { event.preventDefault(); action(event); }
    return;
  }
  if (inField(event.target) || document.querySelector("dialog[open]")) return;
  if (key.length === 1 && !singleKeys.value) return;
  const action = (prefix && table.get(`${prefix} ${key}`)) ?? table.get(key);
  clearTimeout(prefixTimer);
  prefix = null;
  if (action) {
    if (action(event) !== false) event.preventDefault();
  } else if ([...table.keys()].some((one) => one.startsWith(`${key} `))) {
    prefix = key;
    prefixTimer = setTimeout(() => { prefix = null; }, 1500);
  }
});

/** J and K walk over what `selector` finds. */
export function walk(selector, step) {
  const all = [...document.querySelectorAll(selector)];
  if (!all.length) return;
  const here = all.findIndex((one) => one === document.activeElement || one.contains(document.activeElement));
  const next = all[Math.max(0, Math.min(all.length - 1, here < 0 ? 0 : here + step))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

/** Press the button of the card that has the focus; a letter opens a step, and never decides alone. */
export function pressOnCard(letter) {
  const card = document.activeElement?.closest?.(".approval") ?? null;
  const button = card?.querySelector(`[data-key="${letter}"]`);
  if (!button) return false;
  if (letter === "a" && !button.textContent.includes("…")) button.focus();
  else button.click();
  return true;
}
