// The second steps of a card: approving something that cannot be undone, and denying with a reason.
import { html } from "../html.js";
import { useLayoutEffect, useRef, useState } from "../vendor/hooks.mjs";
import { Said } from "./text.js";

const REASONS = ["Not now", "Too broad", "Ask me in chat first"];
const onEscape = (back) => (event) => { if (event.key === "Escape") { event.stopPropagation(); back(); } };

/** Step two: a sentence with the consequence and a button that names the deed; critical: its name is typed. */
export function Confirm({ approval, look, word, name, hindered, sending, onBack, onGo }) {
  const [typed, setTyped] = useState("");
  const focus = useRef(null);
  useLayoutEffect(() => focus.current?.focus(), []); // before the next key
  const missing = name !== null && typed.trim() !== name;
  const why = hindered ?? (missing ? `Type ${name} first.` : null);
  const id = `s-${approval.id}`;
  return html`<form class=${look === "critical" ? "second second-crit" : "second"} aria-labelledby=${id} onKeyDown=${onEscape(onBack)} onSubmit=${(event) => { event.preventDefault(); if (!why) onGo(); }}>
    <h3 id=${id}>Step 2 of 2: ${word[0].toLowerCase() + word.slice(1)}?</h3>
    ${name === null ? html`<p class="hint">Nothing has run yet. As soon as you press “${word}”, the server gets your answer; there is no undo.</p>` : html`
    <div class="field"><label for=${`${id}-name`}>Type <b class="mono">${name}</b> to approve</label>
      <input ref=${focus} class="input mono" id=${`${id}-name`} autocomplete="off" autocapitalize="none" spellcheck=${false} value=${typed} onInput=${(event) => setTyped(event.currentTarget.value)} aria-describedby=${`${id}-hint`} />
      <p class="hint" id=${`${id}-hint`}>Nothing has run yet, and there is no undo. If you want something else, deny this and say so.</p></div>`}
    <div class="decide">
      ${hindered && html`<p class="note">${hindered}</p>`}
      <button class="btn btn-l" type="button" onClick=${onBack}>Back</button>
      <button ref=${name === null ? focus : null} class="btn btn-l btn-bad" type="submit" aria-busy=${sending === "approve"} aria-disabled=${why ? "true" : null} title=${why}>${sending ? "Sending" : word}</button>
    </div>
  </form>`;
}

/** Denying: the agent reads the reason. */
export function Deny({ approval, agent, hindered, sending, onBack, onGo }) {
  const [reason, setReason] = useState("");
  const focus = useRef(null);
  useLayoutEffect(() => focus.current?.focus(), []); // before the next key
  const id = `d-${approval.id}`;
  return html`<form class="second second-plain" aria-labelledby=${id} onKeyDown=${onEscape(onBack)} onSubmit=${(event) => { event.preventDefault(); onGo(reason.trim()); }}>
    <h3 id=${id}>Deny this request</h3>
    <div class="field"><label for=${`${id}-reason`}>Reason <span class="muted">(<${Said} text=${agent} fold=${40} /> reads it; may stay empty)</span></label>
      <div class="row" role="group" aria-label="Reasons">${REASONS.map((one) => html`<button class="chip" type="button" key=${one} aria-pressed=${reason === one} onClick=${() => setReason(reason === one ? "" : one)}>${one}</button>`)}</div>
      <textarea ref=${focus} class="input" id=${`${id}-reason`} rows="2" maxlength="2000" value=${reason} onInput=${(event) => setReason(event.currentTarget.value)}></textarea></div>
    <div class="decide">
      ${hindered && html`<p class="note">${hindered}</p>`}
      <button class="btn btn-l" type="button" onClick=${onBack}>Back</button>
      <button class="btn btn-l btn-main" type="submit" aria-busy=${sending === "deny"} aria-disabled=${hindered ? "true" : null}>${sending ? "Sending" : "Deny and tell the agent"}</button>
    </div>
  </form>`;
}
