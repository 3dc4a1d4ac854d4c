// A customer's backups: how each server's last one went, what a failed one means, and all before it.
import { html } from "../html.js";
import { ConnectionBanner } from "../parts/banner.js";
import { BackupState, momentOf, whenOf } from "../parts/backup.js";
import { Wrong } from "../parts/form.js";
import { useHeard } from "../parts/heard.js";
import { Icon } from "../parts/icon.js";
import { AsOf, Bones, Choice, Empty, Listed, PAGE, Table, useFilters } from "../parts/list.js";
import { bytes } from "../parts/numbers.js";
import { Said } from "../parts/text.js";
import { useList, useRecord } from "../records.js";
import { now, span } from "../time.js";

const HEARD = { activity: /^backup\./, servers: /^server\./, orders: /^order\./ };
const PATH = "/api/v1/customer/backups";
/** After so long without a good copy somebody should look. */
const OLD_MS = 48 * 3_600_000;

/** One server: its last backup, and its last good one where that is another. */
function Kept({ server }) {
  const last = server.lastBackup;
  const good = useList(PATH, { orderId: server.orderId, status: "success", pageSize: 1 });
  useHeard(HEARD, good.load);
  const copy = good.rows?.[0] ?? null, failed = last?.status === "failed";
  const old = copy && now.value - Date.parse(momentOf(copy)) > OLD_MS;
  const copyWords = !good.rows ? "" : copy ? `The newest good copy is of ${whenOf(copy)}.` : "There is no good copy yet.";
  return html`<li class="stack stack-s"><div class="item"><${Icon} name="archive" /><div><b><${Said} text=${server.domain} fold=${80} /></b>
      <p>${!last ? (server.serverId ? "No backup was reported yet. The first one shows up here by itself." : "No server yet, so nothing to copy.") : html`${whenOf(last)}${last.sizeBytes !== null ? `, ${bytes(last.sizeBytes)}` : ""}${last.status === "running" ? `. ${copyWords}` : ""}`}</p></div>
      <span class="small">${last && html`<${BackupState} status=${last.status} />`}</span></div>
    ${failed && html`<div class="banner banner-bad" role="status"><${Icon} name="class-red" /><div><strong>The last backup failed</strong>
      <p>${copyWords} Your server goes on as before; if it broke now, ${copy ? "what changed since that copy" : "what is on it"} would be lost.</p>
      ${last.detail && html`<pre class="code" tabindex="0" aria-label="What the server says"><${Said} text=${last.detail} fold=${400} /></pre>`}
      <p>LetsBe staff see this too. If the next one fails as well, write to them.</p></div></div>`}
    ${!failed && old && html`<div class="banner banner-warn" role="status"><${Icon} name="class-yellow" /><div><strong>No good copy for ${span(now.value - Date.parse(momentOf(copy)))}</strong><p>If the server broke now, what changed since then would be lost. LetsBe staff can start a backup at once; write to them.</p></div></div>`}</li>`;
}

function Before({ servers }) {
  const [{ order, status, page }, set] = useFilters(["order", "status", "page"]);
  const number = Math.max(1, Number(page) || 1);
  const list = useList(PATH, { page: number, pageSize: PAGE, ...(order ? { orderId: order } : {}), ...(status ? { status } : {}) });
  useHeard(HEARD, () => list.load());
  const all = html`<button class="btn" type="button" onClick=${() => set({ order: "", status: "" })}>Show all</button>`;
  return html`<section class="section stack" aria-labelledby="ba-h"><header><h2 id="ba-h">All backups</h2></header>
    <div class="row">${servers.length > 1 && html`<${Choice} label="Server" value=${order} options=${servers.map((one) => [one.orderId, one.domain])} onChoose=${(one) => set({ order: one })} />`}
      <${Choice} label="Outcome" value=${status} options=${[["success", "Finished"], ["failed", "Failed"], ["running", "Running"]]} onChoose=${(one) => set({ status: one })} /></div>
    <${Listed} list=${list} page=${number} onPage=${(next) => set({ page: String(next) })} label="backups" filtered=${Boolean(order || status)}
      none=${html`<p class="hint none">None was reported yet.</p>`} nothing=${html`<${Empty} icon="search" title="None fits" action=${all}>No backup is found with these filters.<//>`}>
      <${Table} caption="All backups" head=${["When", "Outcome", "Server", "Size", "Took", "What it says"]} rows=${(list.rows ?? []).map((one) => ({ key: one.id, cells: [
        whenOf(one), html`<${BackupState} status=${one.status} />`, html`<${Said} text=${one.domain} fold=${60} />`, one.sizeBytes === null ? "–" : bytes(one.sizeBytes),
        one.startedAt && one.finishedAt ? span(Date.parse(one.finishedAt) - Date.parse(one.startedAt)) : "–", one.detail ? html`<${Said} text=${one.detail} fold=${120} />` : "–",
      ] }))} /><//></section>`;
}

export function Backups() {
  const record = useRecord("/api/v1/customer/dashboard");
  useHeard(HEARD, record.load);
  const servers = record.data?.servers;
  return html`<${ConnectionBanner} />
    <header class="page-head"><div><h1 tabindex="-1">Backups</h1><p>Copies your servers make of themselves, as they report them. <${AsOf} /></p></div></header>
    ${record.fault && html`<${Wrong}>${record.fault.message} ${servers ? "What is shown may be out of date. " : ""}<button class="as-link" type="button" onClick=${record.load}>Try again</button><//>`}
    ${!servers ? !record.fault && html`<${Bones} label="backups" />`
      : servers.length === 0 ? html`<${Empty} icon="archive" title="No server, no backup yet" action=${html`<a class="btn" href="/customer/dashboard">See how far your order is</a>`}>Backups begin by themselves as soon as your server runs.<//>`
      : html`<section class="section" aria-labelledby="ba-s"><header><h2 id="ba-s">Now</h2></header><ul class="rows">${servers.map((one) => html`<${Kept} key=${one.orderId} server=${one} />`)}</ul></section><${Before} servers=${servers} />`}`;
}
