// A customer's home: what waits for a decision, then how servers, agents and the pool of tokens are, and what was done last.
import { html } from "../html.js";
import { BackupState, whenOf } from "../parts/backup.js";
import { ConnectionBanner } from "../parts/banner.js";
import { Card, agentName } from "../parts/card.js";
import { Wrong } from "../parts/form.js";
import { useHeard } from "../parts/heard.js";
import { useHeld } from "../parts/held.js";
import { Icon } from "../parts/icon.js";
import { AsOf, Bones } from "../parts/list.js";
import { short } from "../parts/numbers.js";
import { Pool } from "../parts/pool.js";
import { Presence } from "../parts/presence.js";
import { Said } from "../parts/text.js";
import { ORDERS, PATH } from "../parts/words.js";
import { useRecord } from "../records.js";
import { approvals, agents, pending } from "../store.js";
import { connected, link } from "../socket.js";
import { clock, full, when } from "../time.js";
import { initials } from "../tools.js";
import { useRef, useState } from "../vendor/hooks.mjs";
import { AgentState } from "./agents.js";

const HEARD = { activity: /^(usage|backup|activity)\./, servers: /^server\./, orders: /^order\./ };
/** So many requests stand here; the others one tap away. */
const MOST_CARDS = 3;
const MOST_AGENTS = 8;

/** What comes next while there is no server yet. */
const NEXT = {
  PAYMENT_CONFIRMED: "Your payment is here. A server is reserved for you next.",
  AWAITING_SERVER: "A server is being made ready for you.",
  SERVER_READY: "The server is there. Next it gets its names on the internet.",
  DNS_PENDING: "Its names are being made known on the internet; that can take some hours.",
  DNS_READY: "Its names are known. Next your tools are installed.",
  PROVISIONING: "Your tools are being installed.",
  FULFILLED: "Everything is installed. The server has not called here yet.",
  FAILED: "A step did not work. LetsBe staff see it and go on from there; you need not do anything.",
};

/** What waits, as cards that can be decided here. */
function Waiting() {
  const { cards, done, tidy } = useHeld(null);
  const shown = [];
  let open = 0;
  for (const one of cards) {
    if (one.status === "PENDING" && (open += 1) > MOST_CARDS) break;
    shown.push(one);
  }
  const rest = cards.filter((one) => one.status === "PENDING").length - Math.min(open, MOST_CARDS);
  if (!shown.length) return null;
  return html`<section class="section stack" aria-labelledby="da-w"><header><h2 id="da-w">Waiting for you</h2><span class="push row">${done > 0 && html`<button class="btn btn-s" type="button" onClick=${tidy}>Put away ${done} settled</button>`}<a href="/customer/approvals">All requests</a></span></header>
    ${shown.map((one) => html`<${Card} key=${one.id} approval=${one} />`)}
    ${rest > 0 && html`<p><a class="btn" href="/customer/approvals">${rest} more ${rest === 1 ? "request" : "requests"}</a></p>`}</section>`;
}

/** How far an order without a server has come. */
function Coming({ order }) {
  const at = PATH.indexOf(order.orderStatus), ended = order.orderStatus === "FULFILLED";
  return html`<div class="stack stack-s pad-t"><p>${NEXT[order.orderStatus] ?? ""}</p>
    ${at >= 0 && html`<ol class="steps" aria-label="How far it is">${PATH.map((state, index) => html`<li key=${state} class=${index < at || ended ? "done" : index === at ? "now" : ""} aria-current=${index === at ? "step" : null}><span class="dot" aria-hidden="true">${index < at || ended ? html`<${Icon} name="check" />` : index + 1}</span><b>${ORDERS[state][0]}</b></li>`)}</ol>`}</div>`;
}

const load = ({ cpuPercent, memoryUsedMb, memoryTotalMb, diskUsedGb, diskTotalGb }) => [
  ["Processor", cpuPercent], ["Memory", memoryTotalMb ? (memoryUsedMb / memoryTotalMb) * 100 : null], ["Disk", diskTotalGb ? (diskUsedGb / diskTotalGb) * 100 : null],
].filter(([, share]) => typeof share === "number");

function Server({ server }) {
  if (!server.serverId) return html`<li><div class="item"><${Icon} name="order" /><b><${Said} text=${server.domain} fold=${80} /></b><span class="small">${server.tier}</span></div><${Coming} order=${server} /></li>`;
  return html`<li class="item"><${Icon} name="server" /><div><b><${Said} text=${server.domain} fold=${80} /></b>
      <p><${Presence} server=${server} /></p>
      <p class="row-wide">${server.resources && load(server.resources).map(([word, share]) => html`<span key=${word} class=${share >= 90 ? "bad" : share >= 75 ? "warn" : ""}>${word} ${Math.round(share)} %</span>`)}</p>
      ${server.lastBackup && html`<p>Backup <${BackupState} status=${server.lastBackup.status} /> ${whenOf(server.lastBackup)}</p>`}
      ${server.presence === "offline" && html`<p class="warn">Its agents cannot reach this page until it is back. What you decide waits for it.</p>`}</div></li>`;
}

function Agents({ servers }) {
  const domains = new Map(servers.length > 1 ? servers.map((one) => [one.orderId, one.domain]) : []);
  const list = agents.all().sort((one, other) => one.name.localeCompare(other.name));
  return html`<section class="section" aria-labelledby="da-a"><header><h2 id="da-a">Agents</h2><a class="push small" href="/customer/agents">${list.length > MOST_AGENTS ? `All ${list.length}` : "All"}</a></header>
    ${!agents.loaded.value ? html`<${Bones} label="agents" />` : list.length ? html`<ul class="rows">${list.slice(0, MOST_AGENTS).map((agent) => html`<li class="item" key=${agent.id}><span class="agent" aria-hidden="true">${initials(agent.agentId)}</span><div><a class="walk name-link" href=${`/customer/agents/${agent.id}`}><${Said} text=${agent.name} fold=${60} /></a>${domains.has(agent.orderId) && html`<p><${Said} text=${domains.get(agent.orderId)} fold=${60} /></p>`}</div><span class="small"><${AgentState} agent=${agent} /></span></li>`)}</ul>`
      : html`<p class="hint none">No agents yet. They show up here as soon as they are deployed on your server.</p>`}</section>`;
}

function Tokens({ usage }) {
  return html`<section class="panel" aria-labelledby="da-u"><header><h2 id="da-u">Tokens this month</h2><a class="push small" href="/customer/usage">Usage</a></header>
    <div class="panel-body stack stack-s"><${Pool} used=${usage.tokensUsed} limit=${usage.tokenLimit} start=${usage.periodStart} end=${usage.periodEnd}><p class="small soft">${usage.tokensToday ? `${short(usage.tokensToday)} of them today.` : "None yet today (UTC)."}</p><//></div></section>`;
}

/** Many summaries begin with who did it, who stands before them already. */
const without = (name, summary) => (summary.startsWith(`${name} `) ? summary.slice(name.length + 1) : summary);

function Activity({ list }) {
  const seen = useRef(null); // what was there when the page was opened does not light up
  seen.current ??= new Set(list.map((one) => one.id));
  return html`<section class="section" aria-labelledby="da-l"><header><h2 id="da-l">Done lately</h2></header>
    ${list.length ? html`<ul class="feed">${list.map((one) => html`<li key=${one.id} class=${seen.current.has(one.id) ? "" : "new"}><${Icon} name="agents" /><div><b><${Said} text=${agentName(one)} fold=${60} /></b> <${Said} text=${without(agentName(one), one.summary)} fold=${160} /><br /><time datetime=${one.at} title=${full(one.at)}>${when(one.at, "")}</time></div></li>`)}</ul>`
      : html`<p class="hint none">Nothing yet. What your agents do shows up here by itself.</p>`}</section>`;
}

function title(waiting, servers) {
  const { since } = link.value;
  if (!connected() && since) return waiting ? `${waiting} ${waiting === 1 ? "request" : "requests"} waited at ${clock(since)}` : "Home";
  if (approvals.loaded.value && waiting) return `${waiting} ${waiting === 1 ? "request waits" : "requests wait"} for you`;
  if (!approvals.loaded.value || !servers) return "Home";
  if (servers.length && servers.every((one) => !one.serverId)) return "Your server is on its way";
  const away = servers.filter((one) => one.serverId && one.presence === "offline").length;
  return away ? `${away === 1 ? "A server is" : `${away} servers are`} offline` : "Nothing waits for you";
}

function subtitle(waiting) {
  if (!connected() && link.value.since) return "This page may be out of date.";
  if (waiting) return `Nothing below runs until you decide. The next one expires ${when(pending.value.map((one) => one.expiresAt).sort()[0], "at ")}.`;
  return "When an agent wants to do something risky, it stops and asks here.";
}

export function Dashboard() {
  const record = useRecord("/api/v1/customer/dashboard");
  const [present, setPresent] = useState({}); // order → how its server is, as it was told last
  useHeard(HEARD, record.load, ({ server }) => setPresent((before) => ({ ...before, [server.orderId]: server })));
  const data = record.data, waiting = pending.value.length;
  const servers = data?.servers.map((one) => {
    const told = present[one.orderId];
    return told ? { ...one, serverId: told.id, presence: told.presence, lastSeenAt: told.lastSeenAt, resources: told.resources ?? one.resources } : one;
  });
  return html`<${ConnectionBanner} />
    <header class="page-head"><div><h1 tabindex="-1">${title(waiting, servers)}</h1><p>${subtitle(waiting)} <${AsOf} /></p></div></header>
    ${record.fault && html`<${Wrong}>${record.fault.message} ${data ? "What is shown may be out of date. " : ""}<button class="as-link" type="button" onClick=${record.load}>Try again</button><//>`}
    <div class="cols cols-wide"><div class="stack stack-l"><${Waiting} />
      ${!data ? !record.fault && html`<${Bones} label="your servers" />` : html`
        <section class="section" aria-labelledby="da-s"><header><h2 id="da-s">${servers.length > 1 ? "Servers" : "Server"}</h2><a class="push small" href="/customer/backups">Backups</a></header>
          ${servers.length ? html`<ul class="rows">${servers.map((one) => html`<${Server} key=${one.orderId} server=${one} />`)}</ul>`
            : html`<p class="none hint">No order yet. As soon as yours is here, this page shows by itself how far your server is.</p>`}</section>
        <${Activity} list=${data.recentActivity} />`}</div>
      ${data && html`<div class="stack stack-l"><${Tokens} usage=${data.usage} /><${Agents} servers=${servers} /></div>`}</div>`;
}
