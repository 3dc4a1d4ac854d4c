// Where one is signed in: this browser and the others, ended one by one or all at once.
import { remove } from "../api.js";
import { html } from "../html.js";
import { connected } from "../socket.js";
import { when } from "../time.js";
import { useState } from "../vendor/hooks.mjs";
import { Dialog } from "./dialog.js";
import { Act, Wrong } from "./form.js";
import { Icon } from "./icon.js";
import { Bones } from "./list.js";
import { useSending } from "./sending.js";
import { Said } from "./text.js";
import { toast } from "./toast.js";

export const SESSIONS = "/api/v1/auth/sessions";
const FIRST = 8; // so many are shown at once
const BROWSERS = [[/Edg\//, "Edge"], [/OPR\//, "Opera"], [/Firefox\/|FxiOS\//, "Firefox"], [/Chrome\/|Chromium\/|CriOS\//, "Chrome"], [/Safari\//, "Safari"], [/^curl\//, "curl"], [/python|httpx/i, "A program in Python"]];
const SYSTEMS = [[/iPhone|iPad/, "iOS"], [/Android/, "Android"], [/Windows/, "Windows"], [/Mac OS X|Macintosh/, "macOS"], [/CrOS/, "ChromeOS"], [/Linux|X11/, "Linux"]];
const named = (table, agent) => table.find(([pattern]) => pattern.test(agent))?.[1];

/** A browser in words, by what it says of itself. */
export function device(agent) {
  if (!agent) return "Unknown device";
  const browser = named(BROWSERS, agent), system = named(SYSTEMS, agent);
  return browser && system ? `${browser} on ${system}` : browser ?? system ?? agent.slice(0, 80);
}
const counted = (number) => `${number} other ${number === 1 ? "session" : "sessions"}`;

function EndOthers({ number, act, onClose }) {
  const why = connected() ? null : "You are offline, so nothing can be done.";
  const { busy, fault, submit } = useSending(async () => { await act(); onClose(); }, { why });
  return html`<${Dialog} label="End all other sessions?" onClose=${onClose}><form onSubmit=${submit}><h2>End all other sessions?</h2>
    <p>${counted(number)} ${number === 1 ? "is" : "are"} signed out at once, with what is open there. You stay signed in here.</p>
    ${fault && html`<${Wrong}>${fault.message} Nothing has changed.<//>`}
    <div class="actions"><button class="btn" type="button" onClick=${onClose}>Keep them</button><button class="btn btn-bad" type="submit" aria-busy=${busy} aria-disabled=${why ? "true" : null} title=${why}>${busy ? "Ending" : "End them"}</button></div></form><//>`;
}

function Row({ one, onEnd }) {
  const name = device(one.userAgent), since = when(one.createdAt, "today ");
  return html`<li class="item"><${Icon} name="globe" />
    <div><b title=${one.userAgent}><${Said} text=${name} fold=${80} /></b><p>${one.address && html`<span><span class="mono">${one.address}</span>,</span>`}<span>${one.current ? "in use now" : `last seen ${when(one.lastSeenAt, "today ")}`},</span><span>signed in ${since}</span></p></div>
    ${one.current ? html`<span class="tag tag-accent">This one</span>` : html`<${Act} cls="btn-s" act=${onEnd} busyWord="Ending">End<span class="vh"> ${name}, signed in ${since}</span><//>`}</li>`;
}

/** `record`: of `useRecord(SESSIONS)`. */
export function OwnSessions({ record }) {
  const { data: sessions, fault, load } = record;
  const [asking, setAsking] = useState(false), [all, setAll] = useState(false);
  const sorted = [...(sessions ?? [])].sort((one, two) => two.current - one.current), others = sorted.length - 1;
  const shown = all ? sorted : sorted.slice(0, FIRST);
  const end = (one) => async () => {
    try { await remove(`${SESSIONS}/${one.id}`); } finally { await load(); }
    document.getElementById("ac-se").focus(); // its row is gone
    toast("The session is ended; its page is signed out.");
  };
  async function endOthers() {
    const { data } = await remove(SESSIONS);
    await load();
    toast(`${counted(data.sessionsEnded)} ended.`);
  }
  return html`<section class="panel" aria-labelledby="ac-se"><header><h2 id="ac-se" tabindex="-1">Where you are signed in</h2>${sessions && html`<span class="muted">${sessions.length}</span>`}
      ${others > 0 && html`<button class="btn btn-s push" type="button" onClick=${() => setAsking(true)}>End all others…</button>`}</header>
    <div class="panel-body">${fault && html`<${Wrong}>${fault.message} <button class="as-link" type="button" onClick=${load}>Try again</button><//>`}
      ${!sessions ? !fault && html`<${Bones} label="your sessions" />` : html`<ul class="rows">${shown.map((one) => html`<${Row} key=${one.id} one=${one} onEnd=${end(one)} />`)}</ul>
        ${shown.length < sorted.length && html`<p><button class="as-link" type="button" onClick=${() => setAll(true)}>Show all ${sorted.length}</button></p>`}
        <p class="hint">${others > 0 ? "One you do not know? End it, then change your password." : "You are signed in nowhere else."}</p>`}</div>
    ${asking && html`<${EndOthers} number=${others} act=${endOthers} onClose=${() => setAsking(false)} />`}</section>`;
}
