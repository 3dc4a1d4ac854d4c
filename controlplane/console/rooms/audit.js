// The audit log: who changed what and when, with filters in the address; each entry opens to what was before and after.
import { all } from "../api.js";
import { AUDIT, MOST_FRESH, useAudit } from "../audit_store.js";
import { FAMILIES, ID_FILTERS, actionWords, filterOf, spanOf } from "../audit_words.js";
import { html } from "../html.js";
import { announce } from "../parts/announce.js";
import { AuditEntry } from "../parts/audit_entry.js";
import { ConnectionBanner } from "../parts/banner.js";
import { Barred } from "../parts/barred.js";
import { Wrong } from "../parts/form.js";
import { Icon } from "../parts/icon.js";
import { AsOf, Bones, Choice, Empty, Search, useFilters } from "../parts/list.js";
import { dayWord } from "../parts/numbers.js";
import { may } from "../session.js";
import { connected } from "../socket.js";
import { now } from "../time.js";
import { useEffect, useState } from "../vendor/hooks.mjs";

const NAMES = ["action", "authorId", "from", "to", ...ID_FILTERS];
const CLEARED = Object.fromEntries(NAMES.map((name) => [name, ""]));
const given = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value));

/** The staff by name; whoever else is asked for stands among them by the name the log has, or by id. */
function useAuthors(chosen, rows) {
  const [staff, setStaff] = useState([]);
  useEffect(() => { all("/api/v1/admin/staff").then(({ data }) => setStaff(data.map((one) => [one.id, one.name])), () => {}); }, []);
  if (!chosen || staff.some(([id]) => id === chosen)) return staff;
  return [[chosen, rows?.find((one) => one.author.id === chosen)?.author.name ?? chosen], ...staff];
}

const Day = ({ label, value, onChoose }) => html`<label class="day"><span>${label}</span><input class="input" type="date" value=${value} min="2000-01-01" onChange=${(event) => event.currentTarget.validity.valid && onChoose(event.currentTarget.value)} /></label>`;

function Filters({ values, set, rows }) {
  const authors = useAuthors(values.authorId, rows);
  const wanted = ID_FILTERS.find((name) => values[name]);
  const families = FAMILIES.map(([family, word]) => [family, word]);
  const actions = !values.action || families.some(([family]) => family === values.action) ? families : [[values.action, actionWords(values.action)], ...families];
  const search = (id) => set({ ...Object.fromEntries(ID_FILTERS.map((name) => [name, ""])), ...(id ? { [filterOf(id)]: id } : {}) });
  return html`<div class="filters audit-filters"><${Search} label="Search by id" value=${wanted ? values[wanted] : ""} onSearch=${search} />
    <div class="row"><${Choice} label="What" value=${values.action} options=${actions} onChoose=${(action) => set({ action })} />
      <${Choice} label="Who" value=${values.authorId} options=${authors} onChoose=${(authorId) => set({ authorId })} />
      <${Day} label="From" value=${values.from} onChoose=${(from) => set({ from })} /><${Day} label="To" value=${values.to} onChoose=${(to) => set({ to })} />
      ${NAMES.some((name) => values[name]) && html`<button class="btn btn-bare" type="button" onClick=${() => set(CLEARED)}><${Icon} name="x" />Clear</button>`}</div></div>`;
}

/** A file of what is shown and everything older that fits the filters. */
function Exports({ filters }) {
  const to = (format) => `${AUDIT}/export?${new URLSearchParams({ ...filters, format })}`;
  const off = connected() ? {} : { "aria-disabled": "true", onClick: (event) => event.preventDefault() };
  return html`<div class="row"><a class="btn" href=${to("csv")} download ...${off}><${Icon} name="table" />Export table</a><a class="btn" href=${to("ndjson")} download ...${off}><${Icon} name="download" />Export JSON</a></div>`;
}

const dayOf = (at) => `${dayWord(at.slice(0, 10))}${at.slice(0, 4) === new Date(now.peek()).toISOString().slice(0, 4) ? "" : ` ${at.slice(0, 4)}`}`;

function Days({ rows, onOpen, single }) {
  const days = [];
  for (const entry of rows) {
    const day = entry.at.slice(0, 10);
    if (days.at(-1)?.day !== day) days.push({ day, entries: [] });
    days.at(-1).entries.push(entry);
  }
  return days.map(({ day, entries }) => html`<section class="section" key=${day} aria-labelledby=${`day-${day}`}><header><h2 id=${`day-${day}`}>${dayOf(day)}</h2></header>
    <ol class="entries">${entries.map((entry) => html`<${AuditEntry} key=${entry.id} entry=${entry} open=${single} onOpen=${() => entry.chainNumber === null && onOpen(entry.id)} />`)}</ol></section>`);
}

function Log() {
  const [values, set] = useFilters(NAMES);
  const { from, to, ...rest } = given(values);
  const filters = { ...rest, ...spanOf({ from, to }) };
  const log = useAudit(filters);
  const { rows, fresh, fault, cursor, busy, stale } = log;
  const filtered = NAMES.some((name) => values[name]);
  const shown = stale ? null : rows;
  useEffect(() => { if (fresh) announce(`${fresh} new ${fresh === 1 ? "entry" : "entries"} in the audit log`); }, [fresh]);
  return html`<${ConnectionBanner} />
    <header class="page-head"><div><h1 tabindex="-1">Audit log</h1><p class="row">Who changed what, and from where. Times in UTC. <${AsOf} /></p></div><${Exports} filters=${filters} /></header>
    <${Filters} values=${values} set=${set} rows=${shown} />
    ${fault && !stale && html`<${Wrong}>${fault.message} ${shown ? "What is shown may be out of date." : ""} <button class="as-link" type="button" onClick=${log.load}>Try again</button><//>`}
    ${shown?.length > 0 && html`<p class="small soft audit-news">${fresh > 0 ? html`<button class="as-link" type="button" onClick=${log.load}>${fresh >= MOST_FRESH ? `${MOST_FRESH} or more` : fresh} new ${fresh === 1 ? "entry" : "entries"}, show</button>` : "Newest first."}</p>`}
    ${!shown ? !fault && html`<${Bones} label="the audit log" />`
      : rows.length ? html`<${Days} rows=${rows} onOpen=${log.renew} single=${Boolean(values.entryId)} />`
      : fresh > 0 ? html`<${Empty} icon="eye" title=${`${fresh} new ${fresh === 1 ? "entry" : "entries"}`} action=${html`<button class="btn" type="button" onClick=${log.load}>Show</button>`}>Written since you began to look.<//>`
      : filtered ? html`<${Empty} icon="search" title="No entry fits" action=${html`<button class="btn" type="button" onClick=${() => set(CLEARED)}>Show all</button>`}>Choose another span, or fewer filters.<//>`
      : html`<${Empty} icon="eye" title="Nothing yet">Every change writes its entry here.<//>`}
    ${shown?.length > 0 && html`<div class="row">${cursor ? html`<button class="btn" type="button" aria-busy=${busy} aria-disabled=${connected() ? null : "true"} onClick=${log.older}>${busy ? "Fetching older entries" : "Load older"}</button>` : ""}<span class="small muted" role="status">${rows.length} ${rows.length === 1 ? "entry" : "entries"}${cursor ? ", and older ones" : ", nothing older"}</span></div>`}`;
}

export const Audit = () => (may("audit.read") ? html`<${Log} />` : html`<${Barred} what="the audit log" />`);
