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
const NODES = { SUCCEEDED: ["check", "ok"], FAILED: ["x", "bad"], REJECTED: ["x", "bad"], TIMED_OUT: ["clock", "bad"], EXPIRED: ["clock", "warn"], CANCELLED: ["undo", ""] };
const FILTERS = [["all", "All"], ["command", "Commands"], ["approval", "Approvals"], ["config", "Configuration"]];

function Row({ at, icon, look, children }) {
  return html`<li><time class="at" datetime=${at} title=${full(Date.parse(at))}>${isToday(at) ? clockSeconds(Date.parse(at)) : brief(at)}</time><div class="ev"><span class=${`node ${look}`}><${Icon} name=${icon} /></span>${children}</div></li>`;
}
const isToday = (at) => !/\s/.test(brief(at));

function CommandRow({ command, server }) {
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

export function Timeline({ server, store }) {
  const [show, setShow] = useState("all");
  const [most, setMost] = useState(25);
  const rows = [
    ...store.commands.all().map((one) => ({ key: one.id, at: one.issuedAt, sort: "command", row: html`<${CommandRow} key=${one.id} command=${one} server=${server} />` })),
    ...approvals.all().filter((one) => one.orderId === server.orderId).map((one) => ({ key: one.id, at: one.requestedAt, sort: "approval", row: html`<${ApprovalRow} key=${one.id} approval=${one} />` })),
    ...store.others.all().map((one) => ({ key: one.id, at: one.at, sort: one.kind.startsWith("config.") || one.kind.startsWith("agent.") ? "config" : "other", row: html`<${OtherRow} key=${one.id} event=${one} />` })),
  ].filter((one) => show === "all" || one.sort === show).sort((one, other) => Date.parse(other.at) - Date.parse(one.at));
  return html`<section class="section" aria-labelledby="tl"><header><h2 id="tl">Timeline</h2>
      <div class="scroll-x push" role="group" aria-label="Show">${FILTERS.map(([key, word]) => html`<button class="chip" type="button" key=${key} aria-pressed=${show === key} onClick=${() => setShow(key)}>${word}</button>`)}</div></header>
    ${!store.commands.loaded.value ? html`<div class="pad-t" aria-busy="true" aria-label="Loading the timeline"><span class="bone bone-l"></span></div>` : rows.length ? html`<ol class="timeline">${rows.slice(0, most).map((one) => one.row)}</ol>` : html`<p class="hint none">Nothing yet. What happens shows up here by itself.</p>`}
    <p class="small muted pad-t">Times in UTC. Commands and requests from the book; the rest since this page was opened. ${rows.length > most && html`<button class="as-link" type="button" onClick=${() => setMost(most + 25)}>Earlier events</button>`}</p></section>`;
}
