// One setting: its control by type, what it is by default, who changed it last, what decides or awaits it.
import { html } from "../html.js";
import { when } from "../time.js";
import { useEffect, useState } from "../vendor/hooks.mjs";
import { Clash, Entry, Wrong } from "./form.js";
import { Icon } from "./icon.js";
import { Said } from "./text.js";

const SHORT = { ssh: "SSH", dns: "DNS", url: "URL", api: "API", smtp: "SMTP", id: "id", mb: "MB", cpus: "CPUs" };
/** `hub.eventsKeptDays` is called “Events kept days”. */
export const called = (name) => name.split(".")[1].replace(/([A-Z])/g, " $1").split(" ").map((word) => SHORT[word.toLowerCase()] ?? word.toLowerCase()).join(" ").replace(/^./u, (first) => first.toUpperCase());

/**
 * What a form is made of: null stands for the default, as in the Hub's PATCH; a secret, which nobody is shown, is told by
 * when it was set, so that one that was replaced meanwhile is seen.
 */
export const chosen = (setting) => (!setting.isSet ? null : setting.type === "secret" ? { setAt: setting.updatedAt } : setting.value);
/** What is sent: lists without blank lines. */
export const sent = (value) => (Array.isArray(value) ? value.map((line) => line.trim()).filter(Boolean) : value);

const figure = (value) => (typeof value === "number" && Math.abs(value) >= 10_000 ? value.toLocaleString("en") : String(value));
const worded = (value) => (value === null || value === "" ? "nothing" : value === true ? "on" : value === false ? "off" : Array.isArray(value) ? value.join(", ") || "nothing" : figure(value));
const toldOf = (setting) => (value) => (setting.type === "secret" ? (value === null ? "not set" : typeof value === "object" ? "another secret" : "the one you typed") : value === null ? `the default (${worded(setting.default)})` : worded(value));

/** What it may be, as far as words help. */
function bounds({ type, minimum, maximum, maxLength }) {
  if (minimum !== null && maximum !== null) return `${figure(minimum)} to ${figure(maximum)}.`;
  if (type === "list") return `One a line${maxLength ? `, ${maxLength} at most` : ""}.`;
  return "";
}

const CONTROLS = {
  integer: { kind: "number", step: 1, write: (text) => (text === "" ? "" : Number(text)) },
  number: { kind: "number", step: "any", write: (text) => (text === "" ? "" : Number(text)) },
  boolean: { kind: "check" },
  text: { kind: "text" },
  choice: { kind: "select" },
  list: { kind: "textarea", cls: "mono", write: (text) => text.split("\n") },
};

/** Set or not; a new one is typed into an empty field. What is there is never shown, not even its length. */
function SecretEntry({ setting, draft, fault, locked }) {
  const { name } = setting;
  const id = `f-${name.replaceAll(".", "-")}`, wrong = fault?.field?.(name), label = called(name);
  const typed = draft.value(name), isTyped = typeof typed === "string", goes = typed === null && setting.isSet;
  const [open, setOpen] = useState(false);
  useEffect(() => { if (open) document.getElementById(id)?.focus(); }, [open]);
  const take = (event) => (event.currentTarget.value ? draft.set(name, event.currentTarget.value) : draft.drop(name));
  const described = `${id}-h${wrong ? ` ${id}-e` : ""}`;
  const shared = { id, name, class: "input mono", value: isTyped ? typed : "", autocomplete: "off", spellcheck: false, "aria-invalid": wrong ? "true" : null, "aria-describedby": described, onInput: take };
  const close = () => { setOpen(false); draft.drop(name); };
  return html`<div class="field"><span class="row"><span class="as-label" id=${`${id}-l`}>${label}</span><span class=${`state small ${goes ? "warn" : setting.isSet ? "ok" : "soft"}`}><${Icon} name=${goes ? "trash" : setting.isSet ? "lock" : "ring"} />${goes ? "Forgotten once saved" : setting.isSet ? "Set, never shown" : "Not set"}</span></span>
    ${(open || isTyped) && !locked && html`<label class="vh" for=${id}>${label}, new</label>${/PrivateKey$/.test(name) ? html`<textarea ...${shared} rows="4"></textarea>` : html`<input ...${shared} type="password" />`}`}
    <p class="hint" id=${`${id}-h`}><${Said} text=${setting.description} fold=${300} /></p>
    ${wrong && html`<${Wrong} id=${`${id}-e`}>${wrong}<//>`}
    ${!locked && html`<div class="row">${open || isTyped || goes ? html`<button class="btn btn-s" type="button" onClick=${close}>${goes ? "Keep it" : "Leave as it is"}</button>`
      : html`<button class="btn btn-s" type="button" aria-labelledby=${`${id}-b ${id}-l`} onClick=${() => setOpen(true)}><span id=${`${id}-b`}>${setting.isSet ? "Replace" : "Set"}</span></button>${setting.isSet && html`<button class="btn btn-s" type="button" aria-labelledby=${`${id}-d ${id}-l`} onClick=${() => draft.set(name, null)}><span id=${`${id}-d`}>Forget</span></button>`}`}</div>`}
    <${Clash} draft=${draft} name=${name} told=${toldOf(setting)} /></div>`;
}

/** `locked`: the role may only look; `alone`: the others of its category do not wait for the same system. */
export function SettingEntry({ setting, draft, fault, locked, alone }) {
  const { name, type } = setting;
  const held = locked || setting.lockedBy !== null;
  const value = draft.value(name), isDefault = value === null || value === undefined;
  const counts = (one) => one ?? setting.default;
  const read = type === "list" ? (one) => (counts(one) ?? []).join("\n") : (one) => counts(one) ?? "";
  const write = CONTROLS[type]?.write ?? ((text) => (text === "" && setting.default === null ? null : text));
  return html`<div class="setting">
    ${type === "secret" ? html`<${SecretEntry} key=${setting.updatedAt} setting=${setting} draft=${draft} fault=${fault} locked=${held} />`
      : html`<${Entry} ...${CONTROLS[type]} draft=${draft} fault=${fault} name=${name} label=${called(name)} locked=${held} read=${read} write=${write} told=${toldOf(setting)} hint=${`${setting.description} ${bounds(setting)}`.trim()} min=${setting.minimum} max=${setting.maximum} autocomplete="off" spellcheck=${false}
        options=${(setting.choices ?? []).map((one) => [one, one])} rows=${type === "list" ? Math.min(8, Math.max(2, (counts(value) ?? []).length)) : null} />`}
    <p class="setting-foot"><code>${name}</code>
      ${type !== "secret" && (isDefault ? html`<span class="tag">Default</span>` : html`<span>Default: <bdi>${worded(setting.default)}</bdi></span>${!held && html`<button class="as-link" type="button" onClick=${() => draft.set(name, null)}>Back to the default<span class="vh"> of ${called(name)}</span></button>`}`)}
      ${alone && setting.awaits && html`<span class="tag" title=${`Kept and checked; it counts once ${setting.awaits} is connected.`}>Awaits ${setting.awaits}</span>`}
      ${setting.updatedAt && html`<span>${when(setting.updatedAt, "today ")} by <bdi>${setting.updatedBy}</bdi></span>`}</p>
    ${setting.lockedBy && html`<p class="hint"><${Icon} name="lock" /> <code>${setting.lockedBy}</code> of the Hub's environment decides this one; it is not changed here.</p>`}</div>`;
}
