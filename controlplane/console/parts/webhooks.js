// Webhooks to a tenant's server: where they go, why they ended, when they are tried next, and trying again at once.
import { post } from "../api.js";
import { html } from "../html.js";
import { useRecord } from "../records.js";
import { may } from "../session.js";
import { connected } from "../socket.js";
import { now, serverNow, span, when } from "../time.js";
import { useEffect, useRef } from "../vendor/hooks.mjs";
import { Act } from "./form.js";
import { Icon } from "./icon.js";
import { Said } from "./text.js";
import { toast } from "./toast.js";

const FIRST_LOOK_MS = 1000;
const LONGEST_LOOK_MS = 16_000;
const PROMISED_MS = 3000; // many promises at once are one look
const LONGEST_TIMER_MS = 2_000_000_000; // beyond 2^31 ms a browser's timer rings at once

const WORDS = {
  ready: ["check", "ok", "Ready"],
  pushing: ["send", "", "Sending"],
  failing: ["late", "warn", "Failing"],
  exhausted: ["class-red", "bad", "All tries failed"],
  disabled: ["refused", "bad", "Switched off"],
};
const promises = (count) => `${count} ${count === 1 ? "promise" : "promises"}`;

/** What happens next. */
function next({ state, unacknowledged, nextAttemptAt }, server) {
  if (server.keyRevokedAt) return "Its key is revoked, so nothing is sent until it registers anew.";
  if (state === "disabled") return "Nothing is sent there until it is tried again here, or the server registers anew. What waits is kept.";
  if (state === "exhausted") return "Nothing is sent there until something newer is promised, or it is tried again here. What waits is kept.";
  if (state === "failing") return nextAttemptAt && Date.parse(nextAttemptAt) > now.value ? "What waits is kept, and sent in its order once a try is taken." : "It is being tried.";
  if (state === "pushing" || (unacknowledged && server.presence === "offline")) return "What waits is on its way.";
  return "They are sent where the server holds no socket.";
}

/** What nobody tells is looked at again: soon while something is on its way, and when the next try is due. */
function useLooks(record, server, heard) {
  const wait = useRef(FIRST_LOOK_MS), soon = useRef(null);
  const { data, load } = record;
  useEffect(() => { if (data) load(); }, [server.registeredAt, server.keyRevokedAt, server.presence]);
  useEffect(() => {
    if (!heard || (!data?.url && !heard.kind.startsWith("server."))) return;
    soon.current ??= setTimeout(() => { soon.current = null; load(); }, heard.kind.startsWith("server.webhooks") ? 0 : PROMISED_MS);
  }, [heard]);
  useEffect(() => () => clearTimeout(soon.current), []);
  useEffect(() => {
    if (!data?.url || server.keyRevokedAt) return undefined;
    const due = data.state === "failing" ? Date.parse(data.nextAttemptAt ?? 0) - serverNow() : 0;
    const moves = data.state === "pushing" || data.state === "failing" || (data.state === "ready" && data.unacknowledged > 0);
    if (!moves) { wait.current = FIRST_LOOK_MS; return undefined; }
    if (due > 0) wait.current = FIRST_LOOK_MS;
    else wait.current = Math.min(LONGEST_LOOK_MS, wait.current * 2);
    const timer = setTimeout(load, Math.min(LONGEST_TIMER_MS, Math.max(0, due) + wait.current));
    return () => clearTimeout(timer);
  }, [data, server.keyRevokedAt]);
}

export function WebhookPanel({ server, store }) {
  const path = `/api/v1/admin/servers/${server.id}/webhooks`;
  const record = useRecord(path);
  useLooks(record, server, store.heard.value);
  const { data, fault } = record;
  if (!data?.url) return null; // it registered without an address
  const [icon, look, word] = server.keyRevokedAt ? ["refused", "bad", "Key revoked"] : WORDS[data.state] ?? ["info", "", data.state];
  const left = data.nextAttemptAt ? Date.parse(data.nextAttemptAt) - now.value : 0;
  const ended = ["failing", "exhausted", "disabled"].includes(data.state) && !server.keyRevokedAt;
  const again = async () => {
    record.take(await post(`${path}/enable`));
    toast(`Webhooks to ${server.domain} are tried again now.`);
  };
  return html`<section class="panel" aria-labelledby="wh"><header><h2 id="wh">Webhooks</h2><span class=${`push state ${look}`}><${Icon} name=${icon} />${word}</span></header>
    <div class="panel-body stack"><p class="mono small"><span class="vh">Address: </span><${Said} text=${data.url} fold=${120} /></p>
    <dl class="facts">${data.disabledAt && html`<dt>Switched off</dt><dd>${when(data.disabledAt)}</dd>`}
      ${data.state === "failing" && html`<dt>Tries</dt><dd>${data.attempts} failed</dd>`}
      ${data.state === "failing" && left > 0 && html`<dt>Next try</dt><dd>${when(data.nextAttemptAt)}, <span class="muted nowrap">in ${span(left)}</span></dd>`}
      <dt>Last taken</dt><dd>${data.deliveredAt ? when(data.deliveredAt) : "never"}</dd><dt>Waiting</dt><dd>${data.unacknowledged ? promises(data.unacknowledged) : "nothing"}</dd></dl>
    ${data.lastError && html`<div class="field"><p class="small soft">${data.state === "ready" ? "Why they had ended" : data.state === "failing" || data.state === "pushing" ? "What the last try met" : "Why they ended"}</p><pre class="code" tabindex="0" aria-label="The last error"><${Said} text=${data.lastError} fold=${400} /></pre></div>`}
    <p class="hint">${next(data, server)}</p>
    ${fault && html`<p class="error" role="alert"><${Icon} name="class-red" />${fault.message} This is how it was before.</p>`}
    ${ended && may("servers.command") && html`<div><${Act} act=${again} busyWord="Trying"><${Icon} name="refresh" />Try again now<//>${!connected() && html`<p class="hint">You are offline, so nothing can be tried.</p>`}</div>`}</div></section>`;
}
