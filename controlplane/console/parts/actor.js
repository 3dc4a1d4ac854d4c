// “Explain this actor”: why it is awake, what waits, what it did last.
import { get } from "../api.js";
import { html } from "../html.js";
import { connected } from "../socket.js";
import { age, clockSeconds, span, when } from "../time.js";
import { useEffect, useState } from "../vendor/hooks.mjs";
import { Icon } from "./icon.js";
import { Said } from "./text.js";
import { toast } from "./toast.js";

const worded = (name) => name.replace(/([A-Z])/g, " $1").replaceAll("_", " ").toLowerCase().replace(/^./u, (first) => first.toUpperCase());
const told = (value) => (value === null || value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value) : /^\d{4}-\d\d-\d\dT/.test(value) ? when(value) : String(value));

/** One sentence: why it is awake, what it waits for, and when it sleeps again. */
function sentence(view, server) {
  if (view.state === "asleep") return html`<b>Asleep</b>: nothing is live and nothing is due. The next message wakes it.`;
  if (view.state === "restarting" || view.state === "crashed") return html`<b>${worded(view.state)}</b>: it failed and is being rebuilt from its book; its mailbox is kept.`;
  const { extra } = view, waits = view.waiting + view.waitingControl;
  const reasons = [];
  if (extra?.connected ?? server.presence !== "offline") reasons.push("it holds a socket");
  const open = (extra?.issuedSeq ?? 0) - (extra?.acknowledgedSeq ?? 0);
  if (open > 0) reasons.push(`${open} ${open === 1 ? "promise is" : "promises are"} not acknowledged`);
  if (extra?.nextDue) reasons.push(`something is due ${when(extra.nextDue, "at ")}`);
  else if (view.pendingTimers) reasons.push("a timer runs");
  const why = reasons.length > 1 ? `${reasons.slice(0, -1).join(", ")} and ${reasons[reasons.length - 1]}` : reasons[0];
  return html`<b>Awake</b>${why ? `, because ${why}` : ", and about to sleep"}. ${waits ? `${waits} ${waits === 1 ? "message waits" : "messages wait"} in its mailbox.` : "Its mailbox is empty."}`;
}

/** What it says of itself, in a person's order; what has no words here stands as it is. */
function factsOf(extra) {
  const left = { ...extra }, facts = [];
  const take = (...names) => names.map((name) => { const value = left[name]; delete left[name]; return value; });
  if (extra.connected !== undefined) {
    const [connected, epoch, silent] = take("connected", "epoch", "silentSeconds");
    facts.push(["Socket", connected ? `held, epoch ${epoch}, ${typeof silent === "number" ? `silent for ${span(silent * 1000)}` : "not heard yet"}` : "none"]);
  }
  if (extra.issuedSeq !== undefined) {
    const [issued, sent, heard] = take("issuedSeq", "sentSeq", "acknowledgedSeq");
    facts.push(["Promises", `${issued} made, ${sent ?? "–"} sent, ${heard} acknowledged`]);
  }
  if ("nextDue" in extra) facts.push(["Due next", told(take("nextDue")[0]) === "–" ? "nothing" : told(extra.nextDue)]);
  for (const [name, value] of Object.entries(left)) facts.push([worded(name), told(value)]);
  return facts;
}

const plain = (fields) => Object.entries(fields).filter(([, value]) => !/^<\w+>$/.test(value)).map(([name, value]) => `${name} ${value}`).join(", ") || Object.values(fields).find((value) => /^<(?!Connection|Value)\w+>$/.test(value))?.slice(1, -1) || "–";

export function ActorPanel({ server }) {
  const [view, setView] = useState(null);
  const [fault, setFault] = useState(null);
  const [at, setAt] = useState(null);
  async function load() {
    try {
      const { data } = await get(`/api/v1/admin/servers/${server.id}/explain`);
      setView(data);
      setFault(null);
      setAt(Date.now());
    } catch (refusal) { setFault(refusal.message); }
  }
  useEffect(() => { load(); }, [server.id]);
  const copy = () => navigator.clipboard.writeText(JSON.stringify(view, null, 2)).then(() => toast("Copied."), () => toast("This browser does not let the page copy.", "warn"));
  const extra = view?.extra && typeof view.extra === "object" ? factsOf(view.extra) : [];
  return html`<section class="panel" aria-labelledby="ex-h"><header><h2 id="ex-h">Explain this actor</h2>${view && html`<span class="mono muted cut">${view.path}</span>`}
      <span class="push row"><button class="btn btn-s" type="button" aria-disabled=${connected() ? null : "true"} onClick=${() => connected() && load()}><${Icon} name="refresh" />Look again</button>${view && html`<button class="btn btn-s" type="button" onClick=${copy}><${Icon} name="copy" />Copy</button>`}</span></header>
    <div class="panel-body stack">${fault && html`<p class="error" role="alert"><${Icon} name="class-red" />${fault}</p>`}
      ${!view && !fault && html`<span class="bone bone-l"></span>`}
      ${view && html`<p>${sentence(view, server)} <span class="muted small">Seen ${clockSeconds(at)}.</span></p>
      <dl class="facts">
        <dt>Mailbox</dt><dd>${view.waiting} waiting, ${view.waitingControl} first in line; ${view.handled} handled</dd>
        <dt>Timers</dt><dd>${view.pendingTimers || "none"} due</dd><dt>Restarts</dt><dd>${view.restarts || "none"}</dd>
        ${view.idleSeconds !== null && html`<dt>Idle</dt><dd>${span(view.idleSeconds * 1000)}</dd>`}
        ${view.lastCrash && html`<dt>Last crash</dt><dd>${age(view.lastCrash.at)} ago on ${view.lastCrash.message ?? "start"}: <${Said} text=${told(view.lastCrash.error)} fold=${200} /></dd>`}
        ${extra.map(([name, value]) => html`<dt>${name}</dt><dd><${Said} text=${value} fold=${160} /></dd>`)}
      </dl>
      ${view.lastMessages.length > 0 && html`<div class="scroller" tabindex="0" role="region" aria-label="Last messages"><table class="table"><caption class="vh">Last messages handled, newest first</caption><thead><tr><th scope="col">Message</th><th scope="col">With</th><th scope="col" class="n">When</th></tr></thead>
        <tbody>${[...view.lastMessages].reverse().slice(0, 10).map((one, index) => html`<tr key=${index}><td class="mono">${one.type}</td><td class="mono small"><${Said} text=${plain(one.fields)} fold=${90} /></td><td class="n">${age(one.at)} ago</td></tr>`)}</tbody></table></div>`}`}
    </div></section>`;
}
