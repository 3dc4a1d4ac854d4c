// A customer's billing: what is had, what this month comes to, and the months before it.
import { html } from "../html.js";
import { ConnectionBanner } from "../parts/banner.js";
import { Wrong } from "../parts/form.js";
import { useHeard } from "../parts/heard.js";
import { Icon } from "../parts/icon.js";
import { AsOf, Bones, Listed, PAGE, Table, useFilters } from "../parts/list.js";
import { dayLong, exact, money, monthWord, short } from "../parts/numbers.js";
import { Pool } from "../parts/pool.js";
import { Said } from "../parts/text.js";
import { useList, useRecord } from "../records.js";
import { when } from "../time.js";

const HEARD = { activity: /^usage\./, orders: /^order\./ };
const STATES = { OPEN: ["late", "soft", "Running"], UNBILLED: ["clock", "soft", "Not billed yet"], CLOSED: ["lock", "soft", "Closed"], INVOICED: ["mail", "soft", "Invoiced"], PAID: ["check", "ok", "Paid"] };
const STANDING = { ACTIVE: ["check", "ok"], PAST_DUE: ["class-yellow", "warn"], CANCELLED: ["x", "bad"] };
const capital = (word) => `${word[0]}${word.slice(1).toLowerCase().replaceAll("_", " ")}`;

function PeriodState({ status }) {
  const [icon, look, word] = STATES[status] ?? ["ring", "soft", status];
  return html`<span class=${`state ${look}`}><${Icon} name=${icon} />${word}</span>`;
}

/** What the month comes to so far, line by line. */
function Sum({ billing }) {
  const { period, currency, priceCents, overageCentsPerMillion } = billing;
  const lines = [
    priceCents !== null && [`${billing.subscription.tier}, for the month`, priceCents],
    [period.overageTokens ? `${short(period.overageTokens)} tokens beyond the limit, at ${money(overageCentsPerMillion, currency)} a million` : `Nothing beyond the limit (${money(overageCentsPerMillion, currency)} a million)`, period.overageCents],
    [period.premiumTokens ? `Premium models, ${short(period.premiumTokens)} tokens` : "No premium models", period.premiumCents],
  ].filter(Boolean);
  return html`<table class="table"><caption class="vh">What this month comes to so far</caption><thead class="vh"><tr><th scope="col">What</th><th scope="col">Amount</th></tr></thead>
    <tbody>${lines.map(([word, cents]) => html`<tr key=${word}><th scope="row">${word}</th><td class="n">${money(cents, currency)}</td></tr>`)}</tbody>
    <tfoot><tr><th scope="row">So far, before taxes</th><td class="n">${money(lines.reduce((sum, [, cents]) => sum + cents, 0), currency)}</td></tr></tfoot></table>`;
}

function Plan({ billing }) {
  const { subscription, foundingMember: member, currency, priceCents } = billing;
  if (!subscription) return html`<section class="panel" aria-labelledby="bi-p"><header><h2 id="bi-p">Your plan</h2></header><div class="panel-body stack stack-s"><p>You have no plan yet, so nothing is charged for one.</p><p class="hint">It begins with your order. Until then usage is only counted.</p></div></section>`;
  const [icon, look] = STANDING[subscription.status] ?? ["ring", "soft"];
  return html`<section class="panel" aria-labelledby="bi-p"><header><h2 id="bi-p">Your plan</h2><span class=${`state push small ${look}`}><${Icon} name=${icon} />${capital(subscription.status)}</span></header><div class="panel-body stack">
    <dl class="facts"><dt>Plan</dt><dd>${capital(subscription.plan)}, servers of ${subscription.tier}</dd>
      ${priceCents !== null && html`<dt>Price</dt><dd>${money(priceCents, currency)} a month, before taxes</dd>`}
      <dt>Tokens</dt><dd><span title=${exact(subscription.tokenLimit)}>${short(subscription.tokenLimit)}</span> a month</dd></dl>
    ${member && html`<div class="banner"><${Icon} name="check" cls="ok" /><div><strong>Founding member, number ${member.number}</strong><p>${Date.parse(member.expiresAt) > Date.now() ? `Your plan holds ${member.tokenMultiplier} times its tokens until ${when(member.expiresAt, "today, ")}: ${short(subscription.tokenLimit)} instead of ${short(subscription.tokenLimit / member.tokenMultiplier)} a month.` : `Your plan held ${member.tokenMultiplier} times its tokens until ${when(member.expiresAt, "today, ")}.`}</p></div></div>`}
    ${subscription.status === "PAST_DUE" && html`<div class="banner banner-warn" role="status"><${Icon} name="class-yellow" /><div><strong>A payment has not arrived</strong><p>See the invoices below; the newest one is open.</p></div></div>`}</div></section>`;
}

function Months({ currency }) {
  const [{ page }, set] = useFilters(["page"]);
  const number = Math.max(1, Number(page) || 1);
  const list = useList("/api/v1/customer/billing/history", { page: number, pageSize: PAGE });
  useHeard(HEARD, () => list.load());
  return html`<section class="section stack" aria-labelledby="bi-h"><header><h2 id="bi-h">Months</h2></header>
    <${Listed} list=${list} page=${number} onPage=${(next) => set({ page: String(next) })} label="months" none=${html`<p class="hint none">No month yet.</p>`} nothing=${null} filtered=${false}>
      <${Table} caption="Months" head=${["Month", "State", "Used", "Limit", "Beyond it", "Premium", "Invoice"]} rows=${(list.rows ?? []).map((one) => ({ key: one.start, cells: [
        html`<b>${monthWord(one.start)}</b>`, html`<${PeriodState} status=${one.status} />`, html`<span title=${exact(one.tokensUsed)}>${short(one.tokensUsed)}</span>`, one.tokenLimit === null ? "–" : html`<span title=${exact(one.tokenLimit)}>${short(one.tokenLimit)}</span>`,
        one.overageTokens ? `${short(one.overageTokens)}, ${money(one.overageCents, currency)}` : "nothing", one.premiumTokens ? `${short(one.premiumTokens)}, ${money(one.premiumCents, currency)}` : "nothing", one.invoiceId ? html`<span class="mono"><${Said} text=${one.invoiceId} fold=${40} /></span>` : "–",
      ] }))} /><//>
    ${(list.rows ?? []).some((one) => one.status === "UNBILLED") && html`<p class="hint">A month that is not billed yet may still change: servers report late hours, and today’s prices and limit are shown for it.</p>`}</section>`;
}

export function Billing() {
  const record = useRecord("/api/v1/customer/billing");
  useHeard(HEARD, record.load);
  const billing = record.data;
  return html`<${ConnectionBanner} />
    <header class="page-head"><div><h1 tabindex="-1">Billing</h1><p>${billing ? `This month ends on ${dayLong(new Date(Date.parse(billing.period.end) - 1).toISOString())}. ` : ""}Months are those of UTC. <${AsOf} /></p></div><a class="btn" href="/customer/usage"><${Icon} name="chart" />Usage</a></header>
    ${record.fault && html`<${Wrong}>${record.fault.message} ${billing && "What is shown may be out of date. "}<button class="as-link" type="button" onClick=${record.load}>Try again</button><//>`}
    ${!billing ? !record.fault && html`<${Bones} label="billing" />`
      : html`<div class="cols cols-wide"><section class="panel" aria-labelledby="bi-n"><header><h2 id="bi-n">This month</h2></header><div class="panel-body stack"><${Pool} used=${billing.period.tokensUsed} limit=${billing.period.tokenLimit} start=${billing.period.start} end=${billing.period.end} /><${Sum} billing=${billing} /></div></section><${Plan} billing=${billing} /></div>
        <${Months} currency=${billing.currency} />`}`;
}
