// What just happened, as sentences; the fleet's feed of them.
import { html } from "../html.js";
import { events, servers } from "../store.js";
import { brief, clockSeconds, full } from "../time.js";
import { titled } from "../tools.js";
import { bind } from "../keys.js";
import { useEffect, useRef, useState } from "../vendor/hooks.mjs";
import { classOf } from "./class.js";
import { Icon } from "./icon.js";
import { bytes, short } from "./numbers.js";
import { Said } from "./text.js";
import { deedOf } from "./card.js";

const by = (data) => data.decidedBy?.name || "the Hub";

/** `order.automationChanged` in words, for what has no sentence of its own. */
const worded = (kind) => kind.replace(".", " ").replace(/([A-Z])/g, " $1").toLowerCase().replace(/^./u, (first) => first.toUpperCase());

/** kind → `(data) => [icon, look, bold, rest]`. Numbers and names of others are text. */
const KINDS = {
  "approval.requested": (data) => [`class-${classOf(data.commandClass).look}`, data.commandClass.includes("red") ? "bad" : "warn", `${titled(data.agentId)} asks to`, deedOf(data).slice(0, 160)],
  "approval.approved": (data) => ["check", "ok", `${by(data)} approved`, deedOf(data).slice(0, 160)],
  "approval.denied": (data) => ["x", "bad", `${by(data)} denied`, deedOf(data).slice(0, 160)],
  "approval.expired": (data) => ["clock", "warn", "A request expired", deedOf(data).slice(0, 160)],
  "approval.outcome": (data) => [data.outcome === "executed" ? "check" : "x", data.outcome === "executed" ? "ok" : "bad", `An approved command ${{ executed: "ran", failed: "failed", abandoned: "was not run" }[data.outcome] ?? data.outcome}`, data.toolName],
  "approval.delivered": () => ["check", "", "A decision arrived", ""],
  "order.created": () => ["order", "", "Order created", ""],
  "order.changed": (data) => ["order", "", "Order changed", data.domain ?? ""],
  "order.automationChanged": (data) => ["order", "", `Order set to ${(data.automationMode ?? "").toLowerCase()}`, data.domain ?? ""],
  "order.registrationTokenIssued": () => ["key", "", "Registration token made", "the one before is void"],
  "order.paymentConfirmed": () => ["order", "ok", "Order paid", ""],
  "order.awaitingServer": () => ["order", "", "Order waits for a server", ""],
  "order.serverReady": () => ["server", "ok", "Server is there", ""],
  "order.dnsPending": () => ["globe", "", "Names are awaited in the DNS", ""],
  "order.dnsReady": () => ["globe", "ok", "Names stand in the DNS", ""],
  "order.provisioning": () => ["server", "", "Server is being set up", ""],
  "order.fulfilled": () => ["order", "ok", "Order fulfilled", "its server has registered"],
  "order.failed": () => ["x", "bad", "A step of the order failed", "it can be taken again"],
  "order.cancelled": () => ["x", "warn", "Order cancelled", ""],
  "customer.created": (data) => ["users", "", "Customer made", data.company ?? data.name ?? ""],
  "customer.changed": (data) => ["users", "", "Customer changed", data.company ?? data.name ?? ""],
  "staff.created": (data) => ["user", "", `${data.name} joined the staff`, ""],
  "staff.changed": (data) => ["user", "", `${data.name} changed`, (data.role ?? "").toLowerCase()],
  "staff.deactivated": (data) => ["user", "warn", `${data.name} may sign in no more`, ""],
  "staff.invited": (data) => ["mail", "", "Invited to the staff", data.email ?? ""],
  "staff.invitationResent": (data) => ["mail", "", "Invitation sent again", data.email ?? ""],
  "staff.invitationRevoked": (data) => ["mail", "warn", "Invitation taken back", data.email ?? ""],
  "staff.invitationAccepted": (data) => ["mail", "ok", "Invitation accepted", data.email ?? ""],
  "staff.signedIn": () => ["user", "", "A member of staff signed in", ""],
  "staff.signedOut": () => ["logout", "", "A session of the staff ended", ""],
  "staff.passwordChanged": () => ["lock", "", "A member of staff changed their password", ""],
  "staff.twoFactorEnabled": () => ["shield", "ok", "A member of staff turned two-factor authentication on", ""],
  "staff.twoFactorDisabled": () => ["shield", "warn", "Two-factor authentication of a member of staff is off", ""],
  "staff.backupCodesMade": () => ["shield", "", "A member of staff made new backup codes", ""],
  "staff.backupCodeUsed": () => ["shield", "warn", "A member of staff used a backup code", ""],
  "settings.changed": (data) => ["settings", "", "Settings changed", (data.names ?? []).join(", ")],
  "key.created": (data) => ["key", "", "API key made", data.name ?? ""],
  "key.revoked": (data) => ["key", "warn", "API key revoked", data.name ?? ""],
  "command.queued": (data) => ["terminal", "", `${data.type} queued`, `by ${data.issuedBy?.name || "the Hub"}`],
  "command.sent": (data) => ["send", "", `${data.type} sent`, ""],
  "command.acknowledged": (data) => ["check", "", `${data.type} acknowledged`, ""],
  "command.succeeded": (data) => ["check", "ok", `${data.type} done`, ""],
  "command.failed": (data) => ["x", "bad", `${data.type} failed`, (data.output ?? "").slice(0, 120)],
  "command.rejected": (data) => ["x", "bad", `${data.type} rejected`, (data.output ?? "").slice(0, 120)],
  "command.timedOut": (data) => ["clock", "bad", `${data.type} timed out`, ""],
  "command.expired": (data) => ["clock", "warn", `${data.type} expired`, "nobody took it"],
  "command.cancelled": (data) => ["undo", "", `${data.type} withdrawn`, ""],
  "agent.deployed": (data) => ["agents", "", `${data.name} deployed`, ""],
  "agent.updated": (data) => ["agents", "", `${data.name} changed`, `level ${data.autonomyLevel}`],
  "agent.externalCommsChanged": (data) => ["agents", "", `${data.name}'s gates changed`, ""],
  "agent.removed": (data) => ["agents", "", `${data.name} removed`, ""],
  "config.offered": (data) => ["settings", "", `Configuration ${data.configVersion} offered`, ""],
  "config.applied": (data) => ["settings", "ok", `Configuration ${data.configVersion} applied`, ""],
  "config.failed": (data) => ["settings", "bad", `Configuration ${data.configVersion} failed`, (data.error ?? "").slice(0, 120)],
  "server.registered": () => ["key", "ok", "Server registered", ""],
  "server.connected": () => ["refresh", "ok", "Connected", ""],
  "server.disconnected": () => ["ring", "bad", "Disconnected", "what is promised waits for it"],
  "server.keyRevoked": () => ["key", "bad", "Key revoked", "its socket is closed"],
  "server.keyUsedTwice": () => ["key", "bad", "Two wrappers use one key", "revoke it unless a server was just moved"],
  "server.webhooksDisabled": (data) => ["globe", "bad", "Webhooks switched off", data.reason ?? ""],
  "server.webhooksExhausted": (data) => ["globe", "bad", "No webhook was taken in all tries", data.reason ?? ""],
  "server.webhooksEnabled": (data) => ["globe", "ok", "Webhooks tried again", data.reason ?? ""],
  "usage.reported": (data) => ["chart", "", "Usage reported", `${short(data.tokens ?? 0)} tokens, € ${((data.costCents ?? 0) / 100).toFixed(2)}`],
  "backup.reported": (data) => ["archive", data.status === "failed" ? "bad" : "ok", `Backup ${data.status === "success" ? "finished" : data.status}`, data.sizeBytes ? bytes(data.sizeBytes) : (data.detail ?? "")],
  "activity.recorded": (data) => ["agents", "", titled(data.agentId ?? "agent"), (data.summary ?? "").slice(0, 160)],
  "image.reported": (data) => ["download", "", "New image", data.image ?? ""],
};
export const sentence = (event) => KINDS[event.kind]?.(event.data ?? {}) ?? ["info", "", worded(event.kind), ""];

export function FleetEvents() {
  const [paused, setPaused] = useState(false);
  const opened = useRef(null); // rows that were there already do not light up
  if (opened.current === null && servers.loaded.value) opened.current = new Set(events.peek().map((one) => one.key));
  const frozen = useRef([]);
  useEffect(() => bind({ " ": (event) => (event.target.closest("button, a, summary, input") ? false : setPaused((held) => !held)) }), []);
  if (!paused) frozen.current = events.value;
  const missed = paused ? events.value.findIndex((one) => one.key === frozen.current[0]?.key) : 0;
  const domains = new Map(servers.all().map((one) => [one.orderId, one]));
  return html`<aside aria-label="Events"><section class="section"><header><h2>Events</h2><button class="btn btn-s push" type="button" aria-pressed=${paused} onClick=${() => setPaused(!paused)}><${Icon} name=${paused ? "play" : "pause"} />${paused ? (missed > 0 ? `${missed} new, follow` : "Follow") : "Pause"}</button></header>
    ${frozen.current.length ? html`<ul class="feed">${frozen.current.slice(0, 25).map((event) => {
      const [icon, look, bold, rest] = sentence(event);
      const server = domains.get(event.data?.orderId);
      return html`<li key=${event.key} class=${opened.current?.has(event.key) ? "" : "new"}><${Icon} name=${icon} cls=${look} /><div>${server && html`<a class="quiet" href=${`/admin/tenants/${server.id}`}><${Said} text=${server.domain} fold=${60} /></a> `}<b><${Said} text=${bold} fold=${80} /></b> <${Said} text=${rest} fold=${120} /><br /><time datetime=${event.at} title=${full(Date.parse(event.at))}>${brief(event.at).includes(" ") ? brief(event.at) : clockSeconds(Date.parse(event.at))}</time></div></li>`;
    })}</ul>` : html`<p class="hint none">Nothing has happened yet. What happens shows up here by itself.</p>`}</section></aside>`;
}
