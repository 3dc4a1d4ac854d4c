// A dialog for what cannot be undone: it goes on once a name is typed.
import { html } from "../html.js";
import { connected } from "../socket.js";
import { useState } from "../vendor/hooks.mjs";
import { Dialog } from "./dialog.js";
import { Icon } from "./icon.js";
import { useSending } from "./sending.js";

/** `act`: does it; throws a Fault where it was not done. `keep`, `go`: the words of the two buttons. */
export function Typed({ title, name, keep, go, act, onClose, children }) {
  const [typed, setTyped] = useState("");
  const why = !connected() ? "You are offline, so nothing can be done." : typed.trim() === name ? null : `Type ${name} first.`;
  const { busy, fault, submit } = useSending(async () => { await act(); onClose(); }, { why });
  return html`<${Dialog} label=${title} onClose=${onClose}><form onSubmit=${submit}>
    <h2>${title}</h2><p>${children}</p>
    <div class="field"><label for="typed">Type <b class="mono">${name}</b> to go on</label><input class="input mono" id="typed" autocomplete="off" autocapitalize="none" autofocus spellcheck=${false} value=${typed} onInput=${(event) => setTyped(event.currentTarget.value)} /></div>
    ${fault && html`<p class="error" role="alert"><${Icon} name="class-red" />${fault.message}</p>`}
    <div class="actions"><button class="btn" type="button" onClick=${onClose}>${keep}</button><button class="btn btn-bad" type="submit" aria-busy=${busy} aria-disabled=${why ? "true" : null} title=${why}>${go}</button></div></form><//>`;
}
