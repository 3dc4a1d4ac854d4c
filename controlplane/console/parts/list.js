// Lists by pages: search, filters in the address, rows that hold still, what is new on demand, the next page.
import { html } from "../html.js";
import { go, path, query } from "../router.js";
import { link } from "../socket.js";
import { clock } from "../time.js";
import { useEffect, useRef, useState } from "../vendor/hooks.mjs";
import { Icon } from "./icon.js";
import { Wrong } from "./form.js";

export const PAGE = 25;

/** Filters live in the address: a list can be sent to somebody, and Back goes back. Answers `[values, set]`. */
export function useFilters(names) {
  const asked = query();
  const values = Object.fromEntries(names.map((name) => [name, asked.get(name) ?? ""]));
  const set = (changes) => {
    const next = new URLSearchParams(query());
    for (const [name, value] of Object.entries({ page: "", ...changes })) if (value) next.set(name, value); else next.delete(name);
    go(`${path.peek().split("?")[0]}${String(next) ? `?${next}` : ""}`, { replace: !("page" in changes) });
  };
  return [values, set];
}

/** A search that asks once one has stopped typing. */
export function Search({ label, value, onSearch }) {
  const [text, setText] = useState(value);
  const timer = useRef(null), told = useRef(value);
  useEffect(() => { if (value !== told.current) { told.current = value; setText(value); } }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const ask = (words) => { clearTimeout(timer.current); told.current = words.trim(); onSearch(words.trim()); };
  const type = (event) => { const words = event.currentTarget.value; setText(words); clearTimeout(timer.current); timer.current = setTimeout(() => ask(words), 300); };
  return html`<form class="with-icon" role="search" onSubmit=${(event) => { event.preventDefault(); ask(text); }}><${Icon} name="search" /><input class="input" type="search" aria-label=${label} placeholder=${label} value=${text} maxlength="200" autocomplete="off" onInput=${type} /><kbd aria-hidden="true">/</kbd></form>`;
}

export const Choice = ({ label, value, options, onChoose }) => html`<select class="input filter" aria-label=${label} value=${value} onChange=${(event) => onChoose(event.currentTarget.value)}><option value="" selected=${!value}>${label}: all</option>${options.map(([one, word]) => html`<option key=${one} value=${one} selected=${one === value}>${word}</option>`)}</select>`;

/** Since when a page may be out of date; nothing while it is fresh. */
export const AsOf = () => (link.value.state === "lost" && link.value.since ? html`<span class="warn">As it was at ${clock(link.value.since)}.</span>` : null);
export const Bones = ({ label }) => html`<div class="stack" aria-busy="true" aria-label=${`Loading ${label}`} role="status"><span class="bone bone-l"></span><span class="bone bone-box"></span></div>`;
export const Empty = ({ icon, title, children, action }) => html`<section class="empty"><${Icon} name=${icon} /><h2>${title}</h2><p>${children}</p>${action}</section>`;

/** What stands where an object cannot be shown. */
export const Missing = ({ fault, what, back, word }) => (fault.status === 404 ? html`<section class="empty"><h1 tabindex="-1">There is no such ${what}</h1><p>The address may be old.</p><a class="btn" href=${back}>${word}</a></section>`
  : html`<h1 class="vh" tabindex="-1">${what}</h1><${Wrong}>${fault.message}<//>`);

/** A list's frame: its troubles, its emptiness, its rows, its pages. `list`: of `useList`. */
export function Listed({ list, page, onPage, label, none, nothing, filtered, children }) {
  const { rows, total, fault, fresh } = list;
  const last = Math.max(1, Math.ceil(total / PAGE));
  if (fault && !rows) return html`<${Wrong}>${fault.message} <button class="as-link" type="button" onClick=${list.load}>Try again</button><//>`;
  if (!rows) return html`<${Bones} label=${label} />`;
  return html`<div class="stack" aria-busy=${list.busy ? "true" : null}>
    ${fault && html`<${Wrong}>${fault.message} What is shown may be out of date.<//>`}
    ${fresh > 0 && html`<p class="small" role="status"><button class="as-link" type="button" onClick=${() => (page > 1 ? onPage(1) : list.load())}>${fresh} ${fresh === 1 ? "change" : "changes"} to this list, show</button></p>`}
    ${rows.length ? children : filtered ? nothing : none}
    ${rows.length > 0 && html`<div class="row between"><p class="small soft">${total > PAGE ? `${(page - 1) * PAGE + 1} to ${(page - 1) * PAGE + rows.length} of ${total.toLocaleString("en")}` : `${total} in all`}</p>
      ${last > 1 && html`<nav class="row" aria-label="Pages"><button class="btn btn-s" type="button" disabled=${page <= 1} onClick=${() => onPage(page - 1)}>Previous</button><button class="btn btn-s" type="button" disabled=${page >= last} onClick=${() => onPage(page + 1)}>Next</button></nav>`}</div>`}</div>`;
}

export const Crumbs = ({ to, word, children }) => html`<nav aria-label="Breadcrumb" class="small row"><a href=${to}>${word}</a><span class="muted" aria-hidden="true">/</span><span aria-current="page">${children}</span></nav>`;

/** A table that becomes a list on a phone; roles in the markup keep it a table. `rows`: `[{key, cells}]`, the first cell names the row. */
export const Table = ({ caption, head, rows }) => html`<table class="table records" role="table"><caption class="vh">${caption}</caption>
  <thead role="rowgroup"><tr role="row">${head.map((word) => html`<th role="columnheader" scope="col" key=${word}>${word || html`<span class="vh">Actions</span>`}</th>`)}</tr></thead>
  <tbody role="rowgroup">${rows.map(({ key, cells }) => html`<tr role="row" key=${key}>${cells.map((cell, index) => (index ? html`<td role="cell" data-label=${head[index]}>${cell}</td>` : html`<th role="rowheader" scope="row">${cell}</th>`))}</tr>`)}</tbody></table>`;
