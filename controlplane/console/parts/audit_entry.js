// One entry of the audit log: who did what, and opened, what was before and after, what it is about, and from where.
import { actionWords, changes, iconOf, pageOf } from "../audit_words.js";
import { html } from "../html.js";
import { servers } from "../store.js";
import { clockSeconds, full } from "../time.js";
import { useState } from "../vendor/hooks.mjs";
import { DiffLine } from "./diff.js";
import { Icon } from "./icon.js";
import { Said } from "./text.js";

const MOST_LINES = 40;
const KINDS = { staff: "staff", customer: "customer", tenant: "server", system: "the Hub itself", cron: "by the clock" };

/** Shown to those who may read it: where what happened to a thing stands. */
export const historyOf = (id, filter) => `/admin/audit?${new URLSearchParams({ [filter]: id })}`;

function Difference({ entry }) {
  const [whole, setWhole] = useState(false);
  const all = changes(entry.before, entry.after);
  if (!all.length) return html`<p class="hint">The entry tells no more than that it happened.</p>`;
  const shown = whole ? all : all.slice(0, MOST_LINES);
  return html`<ol class="diff" aria-label="What was before and after">${shown.map(([look, text, other], index) => html`<${DiffLine} key=${index} look=${look} text=${text} other=${other} />`)}</ol>
    ${all.length > shown.length && html`<div><button class="btn btn-s" type="button" onClick=${() => setWhole(true)}>Show all ${all.length} lines</button></div>`}`;
}

/** The tenant an entry belongs to, and the company; what no server is known of has neither. */
function known(entry) {
  const all = servers.all();
  const server = all.find((one) => one.orderId === entry.orderId) ?? null;
  return { server, company: (server ?? all.find((one) => one.customerId === entry.customerId))?.company ?? null };
}

const Id = ({ id, page = pageOf(id), word = null }) => (page ? html`<a href=${page}>${word ? html`<${Said} text=${word} fold=${80} />` : html`<span class="mono">${id}</span>`}</a>` : html`<span class="mono"><${Said} text=${id} fold=${80} /></span>`);

/** An id, and everything else that the log has about it. */
const Fact = ({ name, id, filter, ...more }) => html`<dt>${name}</dt><dd class="row row-wide"><${Id} id=${id} ...${more} />${filter && html`<a class="small" href=${historyOf(id, filter)}>all about it<span class="vh">, ${id}</span></a>`}</dd>`;

function Facts({ entry }) {
  const { author, target, customerId, orderId, requestId, address, userAgent, chainNumber } = entry;
  const { server, company } = known(entry);
  return html`<dl class="facts"><dt>When</dt><dd><time datetime=${entry.at}>${full(Date.parse(entry.at))}</time></dd>
    <dt>Who</dt><dd class="row row-wide">${author.id ? html`<${Id} id=${author.id} word=${author.name} /><a class="small" href=${historyOf(author.id, "authorId")}>all they did</a>` : html`<${Said} text=${author.name} fold=${80} />`}<span class="muted">${KINDS[author.type] ?? author.type}</span></dd>
    ${![customerId, orderId].includes(target) && html`<${Fact} name="What" id=${target} filter="target" />`}
    ${customerId && html`<${Fact} name="Customer" id=${customerId} filter="customerId" word=${company} />`}
    ${orderId && html`<${Fact} name="Order" id=${orderId} filter="orderId" word=${server?.domain} />`}
    ${server && html`<dt>Tenant</dt><dd><a href=${`/admin/tenants/${server.id}`}><${Said} text=${server.domain} fold=${80} /></a></dd>`}
    <dt>From</dt><dd>${address ? html`<span class="mono"><${Said} text=${address} fold=${80} /></span>` : html`<span class="muted">nowhere outside</span>`}${userAgent && html` <span class="muted"><${Said} text=${userAgent} fold=${120} /></span>`}</dd>
    ${requestId && html`<${Fact} name="Request" id=${requestId} filter="requestId" page=${null} />`}
    <dt>Chain</dt><dd>${chainNumber === null ? html`<span class="state soft"><${Icon} name="clock" />Waits to be sealed</span>` : html`<span class="state ok"><${Icon} name="lock" />Sealed as number ${chainNumber}</span>`}</dd>
    <dt>Entry</dt><dd class="mono">${entry.id}</dd></dl>`;
}

/** `onOpen`: called when it is opened. */
export function AuditEntry({ entry, onOpen, open: begins = false }) {
  const [open, setOpen] = useState(begins); // what nobody opens is not made
  const { server, company } = known(entry);
  const about = server?.domain ?? (entry.target === entry.customerId && company ? company : entry.target);
  const toggled = (event) => {
    if (event.currentTarget.open && !open) onOpen?.();
    setOpen(event.currentTarget.open);
  };
  return html`<li><details class="fold-row entry" open=${begins} onToggle=${toggled}>
    <summary><time class="muted" datetime=${entry.at}>${clockSeconds(Date.parse(entry.at))}</time><${Icon} name=${iconOf(entry.action)} />
      <span class="line"><b><${Said} text=${actionWords(entry.action)} fold=${80} /></b> <span>by <${Said} text=${entry.author.name} fold=${60} /></span> <span class="muted"><${Said} text=${about} fold=${60} /></span></span><${Icon} name="next" cls="turn" /></summary>
    ${open && html`<div class="body stack"><${Difference} entry=${entry} /><${Facts} entry=${entry} /></div>`}</details></li>`;
}
