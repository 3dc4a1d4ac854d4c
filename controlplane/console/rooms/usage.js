// A customer's usage: the pool, a chart with its table, agents and models, and every line behind it.
import { html } from "../html.js";
import { ConnectionBanner } from "../parts/banner.js";
import { Bars, coloured } from "../parts/chart.js";
import { Wrong } from "../parts/form.js";
import { useHeard } from "../parts/heard.js";
import { Icon } from "../parts/icon.js";
import { AsOf, Bones, Choice, Empty, Listed, PAGE, Table, useFilters } from "../parts/list.js";
import { dayShort, dayWord, exact, monthShort, monthWord, percent, short } from "../parts/numbers.js";
import { Pool } from "../parts/pool.js";
import { Said } from "../parts/text.js";
import { useList, useRecord } from "../records.js";
import { agents } from "../store.js";
import { when } from "../time.js";
import { initials, titled } from "../tools.js";
import { useState } from "../vendor/hooks.mjs";

const HEARD = { activity: /^usage\./ };
/** period → [of the switch, of the heading, how a point is called, its date below, every so many, the last one]. */
const PERIODS = {
  day: ["Days", "By day", (point) => dayWord(point.from), (point) => dayShort(point.from), 7, "Today"],
  week: ["Weeks", "By week", (point) => `${dayShort(point.from)} to ${dayShort(point.to)}`, (point) => dayShort(point.from), 4, "This week"],
  month: ["Months", "By month", (point) => monthWord(point.from), (point) => monthShort(point.from), 3, "This month"],
};
const nameOf = (slug) => agents.all().find((one) => one.agentId === slug)?.name ?? titled(slug);

const Switch = ({ label, name, value, options, onChoose }) => html`<fieldset class="seg"><legend class="vh">${label}</legend>${options.map(([one, word, icon]) => html`<label key=${one}><input type="radio" name=${name} value=${one} checked=${one === value} onChange=${() => onChoose(one)} />${icon && html`<${Icon} name=${icon} />`}${word}</label>`)}</fieldset>`;

/** The figures of the chart, with all their digits. */
function Figures({ points, series, heading }) {
  const of = (point, one) => one.keys.reduce((sum, key) => sum + (point.values[key] ?? 0), 0);
  return html`<div class="as-table scroller" tabindex="0" role="region" aria-label=${`${heading}, as a table`}><table class="table"><caption class="vh">Tokens ${heading.toLowerCase()}</caption>
    <thead><tr><th scope="col">When</th><th scope="col" class="n">All</th>${series.map((one) => html`<th scope="col" class="n" key=${one.key}><bdi>${one.word}</bdi></th>`)}</tr></thead>
    <tbody>${[...points].reverse().map((point) => html`<tr key=${point.key}><th scope="row">${point.word}</th><td class="n"><b>${exact(point.total)}</b></td>${series.map((one) => html`<td class="n" key=${one.key}>${exact(of(point, one))}</td>`)}</tr>`)}</tbody>
    <tfoot><tr><th scope="row">Together</th><td class="n">${exact(points.reduce((sum, point) => sum + point.total, 0))}</td>${series.map((one) => html`<td class="n" key=${one.key}>${exact(points.reduce((sum, point) => sum + of(point, one), 0))}</td>`)}</tr></tfoot></table></div>`;
}

function Share({ caption, rows, total }) {
  const most = Math.max(1, ...rows.map((one) => one.value));
  return html`<table class="table bars"><caption class="vh">${caption}</caption><thead class="vh"><tr><th scope="col">${caption}</th><th scope="col">Bar</th><th scope="col">Tokens</th><th scope="col">Share</th></tr></thead>
    <tbody>${rows.map((one) => html`<tr key=${one.key}><th scope="row">${one.head}</th><td><svg class="bar-svg" aria-hidden="true"><rect class="t" width="100%" height="10" /><rect class=${`c-${one.colour}`} width=${`${((one.value / most) * 100).toFixed(1)}%`} height="10" /></svg></td><td class="n" title=${exact(one.value)}>${short(one.value)}</td><td class="n">${percent(one.value, total)}</td></tr>`)}</tbody></table>`;
}

/** Read only when somebody wants to see it. */
function Lines(props) {
  const [{ page, lines }] = useFilters(["page", "lines"]);
  const [open, setOpen] = useState(Boolean(page || lines));
  return html`<details class="more" open=${open} onToggle=${(event) => setOpen(event.currentTarget.open)}><summary><${Icon} name="next" />Line by line, for each agent and model</summary>${open && html`<${Detail} ...${props} />`}</details>`;
}

function Detail({ order, several }) {
  const [{ page, lines }, set] = useFilters(["page", "lines"]);
  const number = Math.max(1, Number(page) || 1), by = lines === "hour" ? "hour" : "day";
  const list = useList("/api/v1/customer/usage/breakdown", { by, page: number, pageSize: PAGE, ...(order ? { orderId: order } : {}) });
  useHeard(HEARD, () => number === 1 && list.load());
  return html`<section class="section stack" aria-labelledby="us-l"><header><h2 id="us-l">Line by line, this month</h2><span class="push"><${Switch} label="Lines for each" name="lines" value=${by} options=${[["day", "Day"], ["hour", "Hour"]]} onChoose=${(one) => set({ lines: one === "hour" ? one : "" })} /></span></header>
    <${Listed} list=${list} page=${number} onPage=${(next) => set({ page: String(next) })} label="lines of usage" none=${html`<p class="hint none">Nothing was used this month.</p>`} nothing=${null} filtered=${false}>
      <${Table} caption="Usage line by line" head=${["When", "Agent and model", "Tokens", "Input", "Output", "Cached", "Searches, pages"]} rows=${(list.rows ?? []).map((one) => ({ key: `${one.orderId} ${one.agentId} ${one.model} ${one.from}`, cells: [
        html`${by === "day" ? dayWord(one.from) : when(one.from, "today, ")}${several && html`<span class="sub"><${Said} text=${one.domain} fold=${60} /></span>`}`,
        html`<b><${Said} text=${nameOf(one.agentId)} fold=${60} /></b><span class="sub mono"><${Said} text=${one.model} fold=${80} /></span>${one.revision > 0 && html`<span class="sub">corrected ${when(one.reportedAt, "today, ")}</span>`}`,
        exact(one.tokensTotal), exact(one.tokensInput), exact(one.tokensOutput), exact(one.tokensCacheRead + one.tokensCacheWrite), `${exact(one.webSearchCount)}, ${exact(one.webFetchCount)}`,
      ] }))} /><//></section>`;
}

function Chart({ usage, period, by, view, set }) {
  const [, heading, word, tick, every, last] = PERIODS[period];
  const list = by === "model" ? usage.byModel.map((one) => ({ key: one.model, word: one.model, value: one.tokensTotal })) : usage.byAgent.map((one) => ({ key: one.agentId, word: nameOf(one.agentId), value: one.tokensTotal }));
  const series = coloured(list);
  const points = usage.series.map((point) => ({ key: point.from, word: word(point), tick: tick(point), total: point.tokensTotal, values: by === "model" ? point.tokensByModel : point.tokensByAgent }));
  return html`<section class="section swap" aria-labelledby="us-c"><header><h2 id="us-c">${heading}</h2><span class="push row"><${Switch} label="Split by" name="by" value=${by} options=${[["agent", "Agent"], ["model", "Model"]]} onChoose=${(one) => set({ by: one === "model" ? one : "" })} />
      <${Switch} label="Show as" name="view" value=${view} options=${[["chart", "Chart", "chart"], ["table", "Table", "table"]]} onChoose=${(one) => set({ view: one === "table" ? one : "" })} /></span></header>
    <div class="as-chart stack pad-t"><${Bars} key=${`${period} ${by}`} points=${points} series=${series} label=${`Tokens ${heading.toLowerCase()}, ${points[0].word} to ${points[points.length - 1].word}`} every=${every} now=${last} unit="tokens" /></div>
    <${Figures} points=${points} series=${series} heading=${heading} /></section>`;
}

function Period({ billing }) {
  const { data, fault } = billing;
  if (!data) return fault ? html`<${Wrong}>${fault.message} <button class="as-link" type="button" onClick=${billing.load}>Try again</button><//>` : html`<${Bones} label="this month" />`;
  const { period, foundingMember } = data;
  return html`<section class="panel" aria-label="This month"><div class="panel-body stack stack-s">
    ${foundingMember && html`<p class="row"><span class="tag tag-accent">Founding member ${foundingMember.number}: tokens × ${foundingMember.tokenMultiplier}</span></p>`}
    <${Pool} used=${period.tokensUsed} limit=${period.tokenLimit} start=${period.start} end=${period.end}>
      ${period.premiumTokens > 0 && html`<p class="small soft">Besides, ${short(period.premiumTokens)} tokens of premium models, which are paid by use and do not touch this pool.</p>`}
      <p class="small"><a href="/customer/billing">What it costs</a></p><//></div></section>`;
}

export function Usage() {
  const [asked, set] = useFilters(["period", "by", "order", "view"]);
  const period = Object.hasOwn(PERIODS, asked.period) ? asked.period : "day", by = asked.by === "model" ? "model" : "agent";
  const record = useRecord(`/api/v1/customer/usage?${new URLSearchParams({ period, ...(asked.order ? { orderId: asked.order } : {}) })}`);
  const whole = useRecord("/api/v1/customer/dashboard"), billing = useRecord("/api/v1/customer/billing");
  useHeard(HEARD, () => Promise.all([record.load(), billing.load()]));
  const usage = record.data, servers = whole.data?.servers ?? [];
  const byAgent = usage && coloured(usage.byAgent.map((one) => ({ key: one.agentId, word: nameOf(one.agentId), value: one.tokensTotal })));
  const colourOf = (slug) => byAgent.find((one) => one.keys.includes(slug))?.colour ?? "di";
  return html`<${ConnectionBanner} />
    <header class="page-head"><div><h1 tabindex="-1">Usage</h1><p>Tokens, as your servers count them every hour. Days are those of UTC. <${AsOf} /></p></div>
      <div class="row">${servers.length > 1 && html`<${Choice} label="Server" value=${asked.order} options=${servers.map((one) => [one.orderId, one.domain])} onChoose=${(one) => set({ order: one })} />`}
        <${Switch} label="Period" name="period" value=${period} options=${Object.entries(PERIODS).map(([one, [word]]) => [one, word])} onChoose=${(one) => set({ period: one === "day" ? "" : one })} /></div></header>
    <${Period} billing=${billing} />
    ${record.fault && html`<${Wrong}>${record.fault.message} ${usage && "What is shown may be out of date. "}<button class="as-link" type="button" onClick=${record.load}>Try again</button>${asked.order && html` <button class="as-link" type="button" onClick=${() => set({ order: "" })}>All servers</button>`}<//>`}
    ${!usage ? !record.fault && html`<${Bones} label="usage" />`
      : usage.total.tokensTotal === 0 ? html`<${Empty} icon="chart" title="Nothing was used in this time" action=${html`<div class="row">${period !== "month" && html`<button class="btn" type="button" onClick=${() => set({ period: "month" })}>Look at the last 12 months</button>`}<a class="btn btn-bare" href="/customer/agents">See your agents</a></div>`}>As soon as an agent works, its tokens show up here, within the hour.<//>`
      : html`<${Chart} usage=${usage} period=${period} by=${by} view=${asked.view === "table" ? "table" : "chart"} set=${set} />
        <div class="cols cols-2">
          <section class="section" aria-labelledby="us-a"><header><h2 id="us-a">By agent</h2></header><${Share} caption="Agent" total=${usage.total.tokensTotal} rows=${usage.byAgent.map((one) => ({ key: one.agentId, value: one.tokensTotal, colour: colourOf(one.agentId), head: html`<span class="row nowrap"><span class="agent" aria-hidden="true">${initials(one.agentId)}</span><b><${Said} text=${nameOf(one.agentId)} fold=${40} /></b></span>` }))} /></section>
          <section class="section" aria-labelledby="us-m"><header><h2 id="us-m">By model</h2></header><${Share} caption="Model" total=${usage.total.tokensTotal} rows=${usage.byModel.map((one) => ({ key: one.model, value: one.tokensTotal, colour: "x", head: html`<span class="mono"><${Said} text=${one.model} fold=${60} /></span><span class="sub">${one.premium ? "Premium, paid by use" : "Included"}</span>` }))} /></section>
        </div>`}
    <${Lines} order=${asked.order} several=${servers.length > 1} />`;
}
