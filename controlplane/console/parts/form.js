// Forms over records: fields that say what is wrong with them and what somebody else made of them meanwhile; saving.
import { html } from "../html.js";
import { connected } from "../socket.js";
import { useState } from "../vendor/hooks.mjs";
import { Icon } from "./icon.js";
import { Said } from "./text.js";
import { toast } from "./toast.js";

export const Wrong = ({ id, children }) => html`<p class="error" id=${id} role="alert"><${Icon} name="class-red" />${children}</p>`;
const shown = (value) => (value === null || value === undefined || value === "" ? "nothing" : Array.isArray(value) ? value.join(", ") || "nothing" : typeof value === "object" ? JSON.stringify(value) : String(value));

/** Somebody changed what is being edited: both versions, and which shall count. `told`: a value in words. */
export function Clash({ draft, name, told = shown }) {
  const theirs = draft.theirs(name);
  return theirs && html`<div class="banner banner-warn clash" role="status"><${Icon} name="class-yellow" /><div><strong>Changed by somebody meanwhile</strong><p>It is <b><${Said} text=${told(theirs.value)} fold=${200} /></b> now; yours is <b><${Said} text=${told(draft.value(name))} fold=${200} /></b>.</p></div>
    <div class="row"><button class="btn btn-s" type="button" onClick=${() => draft.keep(name)}>Keep mine</button><button class="btn btn-s" type="button" onClick=${() => draft.drop(name)}>Take theirs</button></div></div>`;
}

/**
 * One field of a draft. `kind`: text, number, textarea, select, check; `options`: `[[value, word]]`;
 * `read`, `write`: between the object's value and the control's text; `locked`: shown, not to be changed; `told`: a value in words.
 */
export function Entry({ draft, fault, name, label, hint, kind = "text", options, read = (value) => value ?? "", write = (text) => text, locked = false, told = shown, id = `f-${name.replaceAll(".", "-")}`, cls = "", field = name, ...more }) {
  const wrong = fault?.field?.(field);
  const described = [wrong && `${id}-e`, hint && `${id}-h`].filter(Boolean).join(" ") || null;
  const shared = { ...more, id, name, class: `input ${cls}`, disabled: locked, "aria-invalid": wrong ? "true" : null, "aria-describedby": described };
  const value = read(draft.value(name));
  const take = (event) => draft.set(name, write(event.currentTarget.value));
  const notes = html`${hint && html`<p class="hint" id=${`${id}-h`}>${hint}</p>`}${wrong && html`<${Wrong} id=${`${id}-e`}>${wrong}<//>`}<${Clash} draft=${draft} name=${name} told=${told} />`;
  if (kind === "check") return html`<div class="field"><label class="check"><input ...${shared} class="" type="checkbox" checked=${Boolean(read(draft.value(name)))} onChange=${(event) => draft.set(name, event.currentTarget.checked)} /><span>${label}</span></label>${notes}</div>`;
  return html`<div class="field"><label for=${id}>${label}</label>${
    kind === "textarea" ? html`<textarea ...${shared} value=${value} onInput=${take}></textarea>`
    : kind === "select" ? html`<select ...${shared} value=${value} onChange=${take}>${options.map(([one, word]) => html`<option key=${one} value=${one} selected=${String(one) === String(value)}>${word}</option>`)}</select>`
    : html`<input ...${shared} type=${kind} value=${value} onInput=${take} />`}${notes}</div>`;
}

/** A list of words as text, one a line; blank lines stay while one types, and go when it is saved (`tidy`). */
export const asLines = { read: (list) => (list ?? []).join("\n"), write: (text) => text.split("\n") };
export const tidy = (list) => list.flatMap((line) => line.split(",")).map((one) => one.trim()).filter(Boolean);

/**
 * Saving a draft. `save(changed)`: sends it, throws a Fault; a version that is stale reads anew and tells both. `barred`: why it
 * cannot be saved as it is, or nothing. What is edited while it is on its way stays an edit.
 * Answers `{busy, fault, submit, forget, barred}`.
 */
export function useSaving({ draft, save, reload, done, barred = null }) {
  const [busy, setBusy] = useState(false), [fault, setFault] = useState(null);
  async function submit(event) {
    event?.preventDefault();
    if (busy || !draft.dirty || draft.clash || barred || !connected()) return;
    setBusy(true);
    setFault(null);
    try {
      await save(draft.changed);
      draft.saved();
      toast(done);
    } catch (refusal) {
      if (refusal.status === 409) await reload?.();
      setFault(refusal);
    } finally { setBusy(false); }
  }
  return { busy, fault, submit, barred, forget: () => setFault(null) };
}

/** The end of a form: what is not saved yet, saving it, letting it go. */
export function SaveBar({ draft, saving, word = "Save", fields = [] }) {
  const { busy, fault } = saving;
  const [gone, setGone] = useState(null); // edits that were let go
  const count = Object.keys(draft.changed).length;
  const placed = fault?.field && fields.some((name) => fault.field(name));
  const why = !connected() ? "You are offline, so nothing can be changed." : draft.clash ? "Choose which version counts first." : count && saving.barred ? saving.barred : count ? null : "Nothing has changed.";
  return html`<div class="stack save-bar">
    ${fault && !placed && html`<${Wrong}>${fault.message}${fault.status === 409 && draft.clash ? " Both versions stand at the field." : ""}${Array.isArray(fault.details) && fault.details.length ? ` ${fault.details.map((one) => `${one.field}: ${one.message}`).join("; ")}.` : ""} Nothing was saved.<//>`}
    <div class="row"><button class="btn btn-main" type="submit" aria-busy=${busy} aria-disabled=${why ? "true" : null} title=${why}>${busy ? "Saving" : word}</button>
      ${count > 0 && html`<button class="btn" type="button" onClick=${() => { saving.forget(); setGone(draft.clear()); }}>Undo</button>`}
      ${gone && !count && html`<button class="btn" type="button" onClick=${() => { draft.restore(gone); setGone(null); }}>Bring back what was undone</button>`}
      <span class="small muted" role="status">${count ? `${count} ${count === 1 ? "change" : "changes"} not saved${!connected() ? "; you are offline" : why ? `. ${why}` : ""}` : ""}</span></div></div>`;
}

/** A button that does one thing at once and says when it was not done. */
export function Act({ cls = "", act, children, busyWord = "Working", onFault, ...more }) {
  const [busy, setBusy] = useState(false);
  async function press() {
    if (busy || !connected()) return;
    setBusy(true);
    try { await act(); } catch (refusal) { (onFault ?? ((one) => toast(`${one.message} Nothing has changed.`, "warn")))(refusal); } finally { setBusy(false); }
  }
  return html`<button class=${`btn ${cls}`} type="button" aria-busy=${busy} aria-disabled=${connected() ? null : "true"} onClick=${press} ...${more}>${busy ? busyWord : children}</button>`;
}
