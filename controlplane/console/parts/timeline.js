// A tenant's timeline: one row a command, a request, a change; rows change in place while they are under way.
import { post } from "../api.js";
import { html } from "../html.js";
import { may } from "../session.js";
import { connected } from "../socket.js";
import { approvals } from "../store.js";
import { clockSeconds, full, when, brief } from "../time.js";
import { titled } from "../tools.js";
import { useState } from "../vendor/hooks.mjs";
import { deedOf } from "./card.js";
import { ClassTag, classOf } from "./class.js";
import { sentence } from "./events.js";
import { Icon } from "./icon.js";
import { Said } from "./text.js";
import { toast } from "./toast.js";
import { Track, commandStops, decisionStops } from "./track.js";

const OPEN = ["QUEUED", "SENT"];
const AGAIN = ["FAILED", "REJECTED", "TIMED_OUT", "EXPIRED", "CANCELLED"];
const NODES = { SUCCEEDED: ["check", "ok"], FAILED: ["x", "bad"], REJECTED: ["x", "bad"], TIMED_OUT: ["clock", "bad"], EXPIRED: ["clock", "warn"], CANCELLED: ["undo", ""] };
const FILTERS = [["all", "All"], ["command", "Commands"], ["approval", "Approvals"], ["config", "Configuration"]];

function Row({ at, icon, look, children }) {
  return html`<li><time class="at" datetime=${at} title=${full(Date.parse(at))}>${isToday(at) ? clockSeconds(Date.parse(at)) : brief(at)}</time><div class="ev"><span class=${`node ${look}`}><${Icon} name=${icon} /></span>${children}</div></li>`;
}
const isToday = (at) => !/\s/.test(brief(at));

function CommandRow({ command, server, store }) {
  const [icon, look] = NODES[command.status] ?? ["terminal", ""];
  const payload = JSON.stringify(command.payload);
  async function cancel() {
    try {
      await post(`/api/v1/admin/servers/${server.id}/commands/${command.id}/cancel`);
      toast(`${command.type} is withdrawn. It does not run.`);
    } catch (fault) { toast(`${fault.message} It was not withdrawn.`, "warn"); }
  }
  return html`<${Row} at=${command.issuedAt} icon=${icon} look=${look}>
    <p class="head"><b class="mono"><${Said} text=${command.type} fold=${64} /></b> ${payload !== "{}" && html`<span class="soft mono small"><${Said} text=${payload} fold=${90} /></span>`} <span class="muted small">seq ${command.seq}, by <${Said} text=${command.issuedBy?.name || "the Hub"} fold=${60} /></span></p>
    <${Track} label=${`Progress of ${command.type}`} stops=${commandStops(command)} />
    ${command.output && html`<pre class="code" tabindex="0" aria-label="Output"><${Said} text=${command.output} fold=${600} /></pre>`}
    ${OPEN.includes(command.status) && may("servers.command") && html`<div class="row"><button class="btn btn-s" type="button" aria-disabled=${connected() ? null : "true"} onClick=${() => connected() && cancel()}>Withdraw</button><span class="small muted">expires ${when(command.expiresAt, "")} if not acknowledged</span></div>`}
    ${AGAIN.includes(command.status) && may("servers.command") && html`<div class="row"><button class="btn btn-s" type="button" onClick=${() => { store.draft.value = { type: command.type, payload: command.payload }; }}><${Icon} name="refresh" />Send again…</button>${command.status === "EXPIRED" && html`<span class="small muted">nobody took it in time; it did not run</span>`}</div>`}
  <//>`;
}

function ApprovalRow({ approval }) {
  const waiting = approval.status === "PENDING";
  const { look } = classOf(approval.commandClass);
  const icon = waiting ? `class-${look}` : { APPROVED: "check", DENIED: "x", EXPIRED: "clock" }[approval.status];
  const tone = waiting ? (look === "yellow" ? "warn" : "bad") : { APPROVED: "ok", DENIED: "bad", EXPIRED: "warn" }[approval.status];
  const name = approval.decidedBy?.name || "Somebody";
  return html`<${Row} at=${approval.requestedAt} icon=${icon} look=${tone}>
    <p class="head"><b>${waiting ? `${titled(approval.agentId)} asks to` : approval.status === "EXPIRED" ? "Nobody decided" : html`<${Said} text=${name} fold=${60} /> ${approval.status === "APPROVED" ? "approved" : "denied"}`}</b> <span class="soft"><${Said} text=${deedOf(approval)} fold=${160} /></span> <${ClassTag} name=${approval.commandClass} /></p>
    ${waiting ? html`<p>Waiting. Expires ${when(approval.expiresAt)}. <a href=${`/admin/approvals/${approval.id}`}>${may("approvals.decide") ? "Decide" : "Read"}</a></p>` : approval.status !== "EXPIRED" && html`<${Track} label="Progress of the decision" stops=${decisionStops(approval)} />`}
    ${approval.reason && html`<p>Reason: <${Said} text=${approval.reason} fold=${200} /></p>`}
  <//>`;
}

function OtherRow({ event }) {
  const [icon, look, bold, rest] = sentence(event);
  return html`<${Row} at=${event.at} icon=${icon} look=${look}><p class="head"><b><${Said} text=${bold} fold=${120} /></b> <span class="soft"><${Said} text=${rest} fold=${200} /></span></p><//>`;
}

/** One version of the configuration: offered, then applied, failed, or overtaken by the next. */
function ConfigRow({ version, events, server }) {
  const of = (kind) => events.find((one) => one.kind === `config.${kind}`);
  const offered = of("offered"), applied = of("applied"), failed = of("failed");
  const first = offered ?? applied ?? failed;
  const stops = [...(offered ? [{ word: "Offered", at: offered.at, look: "done" }] : [])];
  if (failed && !applied) stops.push({ word: "Failed", at: failed.at, look: "fail" });
  else if (applied) stops.push({ word: "Applied", at: applied.at, look: "good" });
  else if (version < server.configVersion) stops.push({ word: "Overtaken", look: "wait" });
  else stops.push({ word: "Not yet applied", look: "now", from: offered.at });
  const look = applied ? "ok" : failed ? "bad" : "";
  return html`<${Row} at=${first.at} icon="settings" look=${look}><p class="head"><b>Configuration ${version}</b> ${offered ? "" : html`<span class="soft">${applied ? "applied" : "failed"}</span>`}</p>
    <${Track} label=${`Progress of configuration ${version}`} stops=${stops} />
    ${failed?.data.error && html`<pre class="code" tabindex="0" aria-label="Why it failed"><${Said} text=${failed.data.error} fold=${600} /></pre>`}<//>`;
}

/** Configurations one row a version, everything else one row an event. */
function rowsOf(others, server) {
  const versions = new Map(), rows = [];
  for (const event of others) {
    if (event.kind.startsWith("config.")) versions.set(event.data.configVersion, [...(versions.get(event.data.configVersion) ?? []), event]);
    else rows.push({ at: event.at, sort: event.kind.startsWith("agent.") ? "config" : "other", row: html`<${OtherRow} key=${event.id} event=${event} />` });
  }
  for (const [version, events] of versions) {
    const at = (events.find((one) => one.kind === "config.offered") ?? events[0]).at;
    rows.push({ at, sort: "config", row: html`<${ConfigRow} key=${`config ${version}`} version=${version} events=${events} server=${server} />` });
  }
  return rows;
}

export function Timeline({ server, store }) {
  const [show, setShow] = useState("all");
  const [most, setMost] = useState(25);
  const since = store.since.value, fetching = store.fetching.value;
  const rows = [
    ...store.commands.all().map((one) => ({ at: one.issuedAt, sort: "command", row: html`<${CommandRow} key=${one.id} command=${one} server=${server} store=${store} />` })),
    ...approvals.all().filter((one) => one.orderId === server.orderId).map((one) => ({ at: one.requestedAt, sort: "approval", row: html`<${ApprovalRow} key=${one.id} approval=${one} />` })),
    ...rowsOf(store.others.all(), server),
  ].filter((one) => (show === "all" || one.sort === show) && (since === null || Date.parse(one.at) >= since)).sort((one, other) => Date.parse(other.at) - Date.parse(one.at));
  const ended = since === null && rows.length <= most;
  async function earlier() {
    if (rows.length <= most && connected()) await store.earlier();
    setMost(most + 25);
  }
  return html`<section class="section" aria-labelledby="tl"><header><h2 id="tl">Timeline</h2>
      <div class="scroll-x push" role="group" aria-label="Show">${FILTERS.map(([key, word]) => html`<button class="chip" type="button" key=${key} aria-pressed=${show === key} onClick=${() => setShow(key)}>${word}</button>`)}</div></header>
    ${!store.commands.loaded.value ? html`<div class="pad-t stack" aria-busy="true" aria-label="Loading the timeline"><span class="bone bone-l"></span><span class="bone bone-m"></span><span class="bone bone-box"></span></div>`
      : rows.length ? html`<ol class="timeline">${rows.slice(0, most).map((one) => one.row)}</ol>`
      : html`<p class="hint none">${show === "all" ? "Nothing yet. What happens shows up here by itself; a PING from the form is a good first command." : ended ? "Nothing of this kind." : "Nothing of this kind lately."}</p>`}
    ${store.trouble.value && html`<p class="error" role="alert"><${Icon} name="class-red" />${store.trouble.value} Earlier events did not come.</p>`}
    <p class="small muted pad-t">Times in UTC. ${ended ? "Nothing earlier; events are kept for a week, commands and requests for good." : html`<button class="as-link" type="button" aria-busy=${fetching} aria-disabled=${!connected() && rows.length <= most ? "true" : null} onClick=${earlier}>${fetching ? "Fetching earlier events" : "Earlier events"}</button>`}</p></section>`;
}
