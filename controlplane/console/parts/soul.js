// An agent's character in an editor, with what saving would change line by line; and what is left of edits that have no agent.
import { SOUL_MOST, characters } from "../agent_shape.js";
import { html } from "../html.js";
import { lines } from "../line_diff.js";
import { hasDraft, useDraft } from "../records.js";
import { useEffect, useMemo } from "../vendor/hooks.mjs";
import { TextDiff } from "./diff.js";
import { Wrong } from "./form.js";
import { Icon } from "./icon.js";
import { Said, unseen } from "./text.js";
import { toast } from "./toast.js";

const FEWEST_ROWS = 8, MOST_ROWS = 28;
const copy = (text) => navigator.clipboard.writeText(text).then(() => toast("Copied."), () => toast("This browser does not let the page copy. Mark the text and copy it by hand.", "warn"));

/** Why a character cannot be saved, or null. */
export function soulBarred(text) {
  const count = characters(text);
  if (!count) return "The character is empty.";
  const over = count - SOUL_MOST;
  return over > 0 ? `The character is ${over.toLocaleString("en")} ${over === 1 ? "character" : "characters"} too long.` : null;
}

/** Somebody else saved another character meanwhile: what they changed, and which shall count. */
function SoulClash({ draft }) {
  const theirs = draft.theirs("soulMd");
  return theirs && html`<div class="banner banner-warn clash" role="status"><${Icon} name="class-yellow" /><div><strong>Changed by somebody meanwhile</strong><p>This is what they changed. Keeping yours takes it back, as it stands below.</p></div>
    <div class="whole"><${TextDiff} before=${draft.base("soulMd") ?? ""} after=${theirs.value ?? ""} label="What somebody else changed" /></div>
    <div class="row"><button class="btn btn-s" type="button" onClick=${() => draft.keep("soulMd")}>Keep mine</button><button class="btn btn-s" type="button" onClick=${() => draft.drop("soulMd")}>Take theirs</button><button class="btn btn-s" type="button" onClick=${() => copy(draft.value("soulMd"))}><${Icon} name="copy" />Copy mine</button></div></div>`;
}

export function SoulEditor({ draft, current, fault, locked, own }) {
  const text = draft.value("soulMd");
  const count = useMemo(() => characters(text), [text]), hidden = useMemo(() => unseen(text), [text]);
  const changed = Object.hasOwn(draft.changed, "soulMd");
  const wrong = fault?.field?.("soulMd") ?? (changed ? soulBarred(text) : null);
  const rows = Math.min(MOST_ROWS, Math.max(FEWEST_ROWS, lines(text).length + 1));
  return html`<section class="section stack" aria-labelledby="so-h"><header><h2 id="so-h">Character</h2>${own ? null : html`<span class="muted mono push">SOUL.md</span>`}</header>
    <div class="field"><label class="vh" for="f-soulMd">Character</label>
      <textarea class="input soul" id="f-soulMd" dir="auto" rows=${rows} spellcheck=${own} readonly=${locked} value=${text} aria-invalid=${wrong ? "true" : null} aria-describedby=${wrong ? "f-soulMd-e f-soulMd-h" : "f-soulMd-h"} onInput=${(event) => draft.set("soulMd", event.currentTarget.value)}></textarea>
      <p class="hint row between" id="f-soulMd-h"><span>${own ? "Who it is, how it works, what it must not do, in your own words." : "Markdown; the server hands it to the model as it is."}</span><span class=${count > SOUL_MOST ? "bad" : ""}>${count.toLocaleString("en")} of ${SOUL_MOST.toLocaleString("en")} characters</span></p>
      ${wrong && html`<${Wrong} id="f-soulMd-e">${wrong}<//>`}
      ${hidden.length > 0 && html`<p class="hint warn unseen"><${Icon} name="class-yellow" /><span>Holds characters that cannot be seen: ${hidden.slice(0, 6).map(({ code, count: times, line }, index) => html`${index ? ", " : ""}<span class="mono">${code}</span>${times > 1 ? ` ${times} times, first` : ""} in line ${line}`)}${hidden.length > 6 ? " and others" : ""}.</span></p>`}</div>
    <${SoulClash} draft=${draft} />
    ${changed && html`<section class="stack stack-s" aria-labelledby="so-d"><h3 id="so-d">Before and after</h3><${TextDiff} before=${current} after=${text} label="What saving changes in the character" /></section>`}</section>`;
}

/** Edits of an agent that is no longer there: the text that was typed can be copied, then let go. */
export function Leftover({ id, word }) {
  const draft = useDraft(id, null);
  useEffect(() => { if (document.activeElement === document.body) document.querySelector("h1[tabindex]")?.focus(); }, []); // what was in focus has gone
  if (!hasDraft(id)) return null;
  const text = draft.value("soulMd"), name = draft.value("name"), count = Object.keys(draft.changed).length;
  return html`<section class="panel" aria-labelledby="le-h"><header><h2 id="le-h">What you had not saved</h2></header><div class="panel-body stack">
    <p>${count} ${count === 1 ? "change" : "changes"} of ${word} cannot be saved any more.${name ? html` Its name was to be <b><${Said} text=${name} fold=${100} /></b>.` : ""}</p>
    ${typeof text === "string" && html`<div class="field"><label for="left-soul">The character you wrote</label><textarea class="input soul" id="left-soul" dir="auto" rows=${FEWEST_ROWS} readonly value=${text}></textarea></div>`}
    <div class="row">${typeof text === "string" && html`<button class="btn" type="button" onClick=${() => copy(text)}><${Icon} name="copy" />Copy it</button>`}<button class="btn" type="button" onClick=${draft.clear}>Let it go</button></div></div></section>`;
}
