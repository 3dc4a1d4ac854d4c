// The answer to what one did: six seconds, longer while looked at; never the only place where it stands.
import { html } from "../html.js";
import { signal } from "../vendor/signals.mjs";
import { Icon } from "./icon.js";

const shown = signal(null);
let timer = null;
const plan = () => { clearTimeout(timer); timer = setTimeout(() => { shown.value = null; }, 6000); };

export function toast(text, look = "ok") {
  shown.value = { text, look };
  plan();
}

export function Toasts() {
  const one = shown.value;
  return html`<div class="toasts" role="status">${one && html`<div class="toast" onMouseEnter=${() => clearTimeout(timer)} onMouseLeave=${plan} onFocusIn=${() => clearTimeout(timer)} onFocusOut=${plan}>
    <${Icon} name=${one.look === "ok" ? "check" : "class-yellow"} cls=${one.look} /><span>${one.text}</span>
    <button class="btn btn-bare btn-icon btn-s" type="button" aria-label="Close" onClick=${() => { shown.value = null; }}><${Icon} name="x" /></button></div>`}</div>`;
}
