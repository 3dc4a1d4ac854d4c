// What was decided: all settled requests, newest first, more on demand.
import { html } from "../html.js";
import { ConnectionBanner } from "../parts/banner.js";
import { agentName, wish } from "../parts/card.js";
import { ClassTag } from "../parts/class.js";
import { Icon } from "../parts/icon.js";
import { who } from "../parts/settled.js";
import { Said } from "../parts/text.js";
import { Track, decisionStops } from "../parts/track.js";
import { isStaff, session } from "../session.js";
import { approvals, loadHistory, me, settled } from "../store.js";
import { full, when } from "../time.js";
import { useEffect, useState } from "../vendor/hooks.mjs";

const STATES = { APPROVED: ["check", "ok", "Approved"], DENIED: ["x", "bad", "Denied"], EXPIRED: ["clock", "warn", "Expired"] };
const ENDS = { executed: "ran", failed: "failed", abandoned: "did not run" };

function Line({ approval }) {
  const [icon, look, word] = STATES[approval.status];
  const base = isStaff() ? "/admin" : "/customer";
  return html`<li class="past"><a class="walk" href=${`${base}/approvals/${approval.id}`}><${Said} text=${wish(approval)} fold=${160} /></a>
    <p><span class=${`state ${look}`}><${Icon} name=${icon} />${word}</span>${approval.status === "EXPIRED" ? "" : html` by <${Said} text=${who(approval, me()) === "You" ? "you" : who(approval, me())} fold=${60} />`}${approval.outcome ? html`, ${ENDS[approval.outcome] ?? approval.outcome}` : ""}
${" "}<span class="muted">· <${Said} text=${agentName(approval)} fold=${60} /> · <time datetime=${approval.settledAt} title=${full(approval.settledAt)}>${when(approval.settledAt)}</time></span></p>
    ${approval.reason && html`<p class="muted">“<${Said} text=${approval.reason} fold=${160} />”</p>`}
    <${ClassTag} name=${approval.commandClass} />
    <details class="more"><summary><${Icon} name="next" />What happened when</summary><${Track} label="What happened when" stops=${[{ word: "Asked", at: approval.requestedAt, look: "done" }, ...decisionStops(approval)]} />
      ${approval.outcomeDetail && html`<pre class="code" tabindex="0" aria-label="What the server says"><${Said} text=${approval.outcomeDetail} /></pre>`}</details></li>`;
}

export function History() {
  const [show, setShow] = useState("ALL");
  const [pages, setPages] = useState({ APPROVED: 0, DENIED: 0, EXPIRED: 0 });
  const [totals, setTotals] = useState({});
  const [trouble, setTrouble] = useState(null);
  const wanted = show === "ALL" ? Object.keys(STATES) : [show];
  const more = wanted.some((status) => totals[status] === undefined || totals[status] > pages[status] * 25);

  async function load() {
    setTrouble(null);
    const next = { ...pages }, found = { ...totals };
    try {
      await Promise.all(wanted.map(async (status) => {
        if (found[status] !== undefined && found[status] <= next[status] * 25) return;
        next[status] += 1;
        found[status] = (await loadHistory(status, next[status])).meta.total;
      }));
      setPages(next);
      setTotals(found);
    } catch (fault) { setTrouble(fault.message); }
  }
  useEffect(() => { if (wanted.some((status) => pages[status] === 0)) load(); }, [show, session.value]);

  const list = settled.value.filter((one) => show === "ALL" || one.status === show);
  return html`<${ConnectionBanner} />
    <header class="page-head"><div><h1 tabindex="-1">History</h1><p>Every request that was decided or ran out of time.</p></div></header>
    <div class="scroll-x" role="group" aria-label="Show">${[["ALL", "All"], ...Object.entries(STATES).map(([status, [, , word]]) => [status, word])].map(([status, word]) => html`<button key=${status} class="chip" type="button" aria-pressed=${show === status} onClick=${() => setShow(status)}>${word}${totals[status] === undefined ? "" : html` <b>${totals[status]}</b>`}</button>`)}</div>
    ${trouble && html`<p class="error" role="alert"><${Icon} name="class-red" />${trouble}</p>`}
    ${!approvals.loaded.value ? html`<div aria-busy="true" aria-label="Loading"><span class="bone bone-l"></span></div>`
      : list.length ? html`<ul class="rows">${list.map((one) => html`<${Line} key=${one.id} approval=${one} />`)}</ul>`
      : html`<section class="empty"><${Icon} name="history" /><h2>Nothing yet</h2><p>What you decide stands here, with what became of it.</p></section>`}
    ${more && list.length > 0 && html`<div><button class="btn" type="button" onClick=${load}>Earlier</button></div>`}`;
}
