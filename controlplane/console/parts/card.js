// The approval card: what an agent wants, and a person's decision, one step or two, in the open.
import { Fault } from "../api.js";
import { html } from "../html.js";
import { isStaff, mayDecide } from "../session.js";
import { connected, link } from "../socket.js";
import { agents, loadApproval, me, servers, settle } from "../store.js";
import { brief, full, now, span, when } from "../time.js";
import { deed, initials, nameToType, titled } from "../tools.js";
import { useEffect, useLayoutEffect, useRef, useState } from "../vendor/hooks.mjs";
import { announce } from "./announce.js";
import { Arguments } from "./args.js";
import { ClassTag, classOf } from "./class.js";
import { Confirm, Deny } from "./decide.js";
import { Icon } from "./icon.js";
import { Settled } from "./settled.js";
import { Said } from "./text.js";

const SOON_MS = 3_600_000;

/** An agent's name as its owner gave it, else its slug as a name. */
export function agentName(approval) {
  return agents.all().find((one) => one.agentId === approval.agentId && one.orderId === approval.orderId)?.name ?? titled(approval.agentId);
}

/** The sentence without the impact in parentheses, which has its own line. */
export function wish({ humanReadable, impact }) {
  return impact && humanReadable.trimEnd().endsWith(`(${impact})`) ? humanReadable.trimEnd().slice(0, -impact.length - 2).trimEnd() : humanReadable;
}

/** The wish without “IT Admin wants to”, for where the agent is named already. */
export const deedOf = (approval) => wish(approval).replace(/^.{1,60}? wants to /su, "");

function Left({ approval }) {
  const end = Date.parse(approval.expiresAt);
  if (!connected()) return html`<p class="left"><b>Until ${brief(approval.expiresAt)}</b><small>no live countdown</small></p>`;
  const rest = end - now.value;
  const soon = rest < SOON_MS;
  return html`<p class=${soon ? "left left-soon" : "left"}><b>${rest <= 0 ? "Time is over" : soon ? `${span(rest)} left` : span(rest)}</b>
    <small>expires <time datetime=${approval.expiresAt} title=${full(end)}>${brief(approval.expiresAt)}</time></small></p>`;
}

function Drain({ approval }) {
  const begin = Date.parse(approval.requestedAt), end = Date.parse(approval.expiresAt);
  const rest = Math.max(0, Math.min(1, (end - now.value) / (end - begin)));
  const soon = connected() && end - now.value < SOON_MS;
  return html`<svg class=${soon ? "drain drain-soon" : "drain"} aria-hidden="true"><rect class="t" width="100%" height="3" /><rect class="f" width=${`${(rest * 100).toFixed(1)}%`} height="3" /></svg>`;
}

/** Which tenant asks: staff see all of them, a customer may have several. */
function Whose({ approval }) {
  const server = isStaff() ? servers.all().find((one) => one.orderId === approval.orderId) : null;
  if (!server) return null;
  return html` · <a href=${`/admin/tenants/${server.id}`}>${server.company ?? server.domain}</a>`;
}

/** Why nothing can be decided now, or null. */
export function hindrance(approval) {
  if (!connected()) return link.value.state === "opening" ? "Connecting. Nothing can be decided yet." : "You are offline, so nothing can be decided. Nothing runs meanwhile.";
  if (Date.parse(approval.expiresAt) <= now.value) return "Its time is over. It does not run.";
  if (!mayDecide()) return "Your role may read requests, not decide them.";
  return null;
}

const NOTES = { green: "It only reads.", yellow: "One step: approving runs it.", yellow_external: "One step. What has left cannot be called back.", red: "Approving asks you once more. Until then nothing runs.", critical_red: "Approving asks you to type its name. Until then nothing runs." };

/** One request. `first`: a link led here, so it takes the focus. */
export function Card({ approval, first = false }) {
  const [mode, setMode] = useState("idle"); // idle, confirm, deny
  const [sending, setSending] = useState(null); // approve, deny
  const [trouble, setTrouble] = useState(null);
  const [answer, setAnswer] = useState(null); // what came of my decision
  const self = useRef(null), approve = useRef(null), deny = useRef(null), height = useRef(0), before = useRef(mode);
  const waiting = approval.status === "PENDING";
  const { look, means } = classOf(approval.commandClass);
  const twoSteps = approval.commandClass === "red" || approval.commandClass === "critical_red";
  const hindered = hindrance(approval);
  const heading = `t-${approval.id}`;

  // A settled card keeps the room it had: nothing moves under a finger.
  useLayoutEffect(() => {
    if (waiting) height.current = self.current.offsetHeight;
    else if (height.current) self.current.style.minHeight = `${height.current}px`;
  });
  useEffect(() => { if (first) { self.current.scrollIntoView({ block: "start" }); self.current.focus({ preventScroll: true }); } }, [first]);
  useLayoutEffect(() => { // the focus returns to the button that opened the step
    if (mode === "idle" && waiting && !sending) (before.current === "confirm" ? approve : before.current === "deny" ? deny : { current: null }).current?.focus();
    before.current = mode;
  }, [mode]);
  const rest = Math.ceil((Date.parse(approval.expiresAt) - now.value) / 60_000);
  useEffect(() => { if (waiting && [60, 10, 1].includes(rest)) announce(`${rest} min left: ${wish(approval).slice(0, 80)}`); }, [rest]);

  async function decide(action, reason) {
    if (hindered || sending) return announce(hindered ?? "Sending");
    setSending(action);
    setTrouble(null);
    try {
      const result = await settle(approval, action, reason);
      setAnswer(result);
      announce(result.mine ? (action === "approve" ? "Approved" : "Denied") : "Somebody else was first");
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault;
      const unknown = fault.code === "UNREACHABLE";
      setTrouble(unknown ? "No answer came, so it is not known whether yours arrived. Looking it up as soon as the Hub is back." : `${fault.message} Nothing was decided.`);
      if (unknown) loadApproval(approval.id).then((found) => { if (found.status === "PENDING") setTrouble("It did not arrive. The request still waits."); }).catch(() => {});
    } finally {
      setSending(null);
    }
  }

  if (!waiting) return html`<article ref=${self} class="approval settled" aria-labelledby=${heading} tabindex="-1" data-approval=${approval.id}>
    <${Settled} approval=${approval} answer=${answer} heading=${heading} me=${me()} /></article>`;

  const open = (step) => () => { if (hindered) announce(hindered); else setMode(step); };
  return html`<article ref=${self} class="approval" aria-labelledby=${heading} tabindex="-1" data-approval=${approval.id}>
    <${Drain} approval=${approval} />
    <div class="ask">
      <div class="from"><span class="agent agent-l" aria-hidden="true">${initials(approval.agentId)}</span>
        <p><b><${Said} text=${agentName(approval)} fold=${80} /></b><br />asked <time datetime=${approval.requestedAt} title=${full(approval.requestedAt)}>${when(approval.requestedAt)}</time><${Whose} approval=${approval} /></p>
        <${Left} approval=${approval} /></div>
      <h2 id=${heading}><${Said} text=${wish(approval)} fold=${280} /></h2>
      <p class="meaning"><${ClassTag} name=${approval.commandClass} /> ${means}</p>
      ${approval.impact && html`<p class="impact"><b><${Said} text=${approval.impact} fold=${120} /></b> <span>as the agent counts it</span></p>`}
      <${Arguments} approval=${approval} look=${look} />
    </div>
    ${trouble && html`<div class="trouble" role="alert"><p class="error"><${Icon} name="class-red" />${trouble}</p></div>`}
    ${mode === "confirm" ? html`<${Confirm} approval=${approval} look=${look} word=${twoSteps ? deed(approval) : "Approve"} name=${approval.commandClass === "critical_red" ? nameToType(approval) : null}
        hindered=${hindered} sending=${sending} onBack=${() => setMode("idle")} onGo=${() => decide("approve")} />`
    : mode === "deny" ? html`<${Deny} approval=${approval} agent=${agentName(approval)} hindered=${hindered} sending=${sending} onBack=${() => setMode("idle")} onGo=${(reason) => decide("deny", reason)} />`
    : html`<div class="decide">
      <p class="note" id=${`n-${approval.id}`}>${hindered ?? NOTES[approval.commandClass] ?? NOTES.red}</p>
      <button ref=${deny} class="btn btn-l" type="button" data-key="d" aria-disabled=${hindered ? "true" : null} aria-describedby=${`n-${approval.id}`} onClick=${open("deny")}>Deny…</button>
      <button ref=${approve} class="btn btn-l btn-main" type="button" data-key="a" aria-busy=${sending === "approve"} aria-disabled=${hindered ? "true" : null} aria-describedby=${`n-${approval.id}`}
        onClick=${twoSteps ? open("confirm") : () => decide("approve")}>${sending === "approve" ? "Sending" : twoSteps ? "Approve…" : "Approve"}</button>
    </div>`}
  </article>`;
}

