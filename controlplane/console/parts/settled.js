// A settled request: who was first, what runs, what became of it.
import { html } from "../html.js";
import { clockSeconds, span, when } from "../time.js";
import { agentName, wish } from "./card.js";
import { Icon } from "./icon.js";
import { Said } from "./text.js";
import { Track, decisionStops } from "./track.js";

const LOOK = { APPROVED: ["check", "ok", "approved"], DENIED: ["x", "bad", "denied"], EXPIRED: ["clock", "warn", "expired"] };

/** Who decided, as the reader knows them. */
export function who(approval, me) {
  const { decidedBy } = approval;
  if (!decidedBy) return "Nobody";
  if (decidedBy.id && decidedBy.id === me) return "You";
  return decidedBy.name || { staff: "LetsBe staff", customer: "The customer", tenant: "The server", system: "The Hub" }[decidedBy.type] || "Somebody";
}

function Verdict({ approval, answer, me }) {
  const [, , word] = LOOK[approval.status];
  if (approval.status === "EXPIRED") return html`Expired ${when(approval.settledAt, "at ")}, nobody decided`;
  const name = who(approval, me);
  const said = html`<${Said} text=${name} fold=${80} />`;
  if (!answer) return name === "You" ? html`You ${word} this${approval.settledAt ? html` ${when(approval.settledAt)}` : ""}` : html`${said} ${word} this`;
  if (answer.mine) return `You ${word} this`;
  const ahead = answer.at - Date.parse(approval.settledAt);
  return html`${said} ${word} this ${ahead < 1000 ? "just" : span(ahead)} before you${name === "You" ? ", in another window" : ""}`;
}

const AFTER = {
  APPROVED: { executed: "It ran once.", failed: "It was started and failed.", abandoned: "It was approved, but did not run.", heard: "The server has this answer and runs it once.", null: "The server is promised this answer and runs it once." },
  DENIED: { heard: "It does not run. The agent has been told.", null: "It does not run. The agent is told as soon as its server hears." },
  EXPIRED: { heard: "It did not run. The agent has been told and may ask again.", null: "It did not run. The agent is told as soon as its server hears, and may ask again." },
};

export function Settled({ approval, answer, heading, me }) {
  const [icon, look] = LOOK[approval.status];
  const after = AFTER[approval.status][approval.outcome] ?? AFTER[approval.status][approval.acknowledgedAt ? "heard" : null];
  return html`<div class="ask">
    <p class=${`verdict ${look}`}><${Icon} name=${icon} /><span><${Verdict} approval=${approval} answer=${answer} me=${me} /></span></p>
    <h2 id=${heading}><${Said} text=${wish(approval)} fold=${280} /></h2>
    <p class="small soft">${answer && !answer.mine && approval.settledAt ? `Your answer came at ${clockSeconds(answer.at)}, the first one at ${clockSeconds(Date.parse(approval.settledAt))}, so that one counts. ` : ""}${after}</p>
    ${approval.reason && html`<p class="small soft">Reason: <${Said} text=${approval.reason} /></p>`}
    ${approval.outcomeDetail && html`<pre class="code" tabindex="0" aria-label="What the server says"><${Said} text=${approval.outcomeDetail} /></pre>`}
    ${approval.status !== "EXPIRED" && html`<${Track} label="What happened after the decision" stops=${decisionStops(approval)} />`}
  </div>`;
}

/** A line of “decided lately”. */
export function SettledLine({ approval, me }) {
  const [icon, look, word] = LOOK[approval.status];
  return html`<li><${Icon} name=${icon} cls=${look} /><div><b>${approval.status === "EXPIRED" ? "Expired" : html`<${Said} text=${who(approval, me)} fold=${60} />`}</b> ${approval.status === "EXPIRED" ? "" : word} <span class="mono"><${Said} text=${approval.toolName} fold=${60} /></span> of <${Said} text=${agentName(approval)} fold=${60} /><br />
    <time datetime=${approval.settledAt}>${when(approval.settledAt, "")}</time> ${approval.reason && html`<span class="muted"><${Said} text=${approval.reason} fold=${80} /></span>`}</div></li>`;
}
