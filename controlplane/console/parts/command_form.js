// Sending a command to a tenant's wrapper.
import { post } from "../api.js";
import { html } from "../html.js";
import { query } from "../router.js";
import { connected } from "../socket.js";
import { announce } from "./announce.js";
import { useEffect, useRef, useState } from "../vendor/hooks.mjs";
import { Icon } from "./icon.js";

const TYPES = { PING: "{}", RESTART_SERVICE: '{ "service": "ghost" }', RUN_BACKUP: "{}", UPDATE_CONFIG: "{}" };
const TERMS = [[300, "5 minutes"], [3600, "1 hour"], [86_400, "24 hours"], [604_800, "7 days"]];

export function CommandForm({ server, store }) {
  const asked = query().get("command");
  const [type, setType] = useState(asked in TYPES ? asked : "PING");
  const [payload, setPayload] = useState(TYPES[asked in TYPES ? asked : "PING"]);
  const [term, setTerm] = useState(3600);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState(null);
  const first = useRef(null);
  useEffect(() => { if (asked) first.current?.focus(); }, [asked]);
  const draft = store.draft.value;
  useEffect(() => {
    if (!draft) return;
    setType(draft.type);
    setPayload(JSON.stringify(draft.payload, null, 1));
    setFault(null);
    store.draft.value = null;
    first.current?.scrollIntoView({ block: "center" });
    first.current?.focus({ preventScroll: true });
  }, [draft]);

  async function send(event) {
    event.preventDefault();
    if (busy || !connected()) return;
    let parsed;
    try { parsed = JSON.parse(payload || "{}"); } catch { parsed = null; }
    if (parsed === null || typeof parsed !== "object" || Array.isArray(parsed)) return setFault({ field: "payload", message: "This is no JSON object. Nothing was sent." });
    setBusy(true);
    setFault(null);
    try {
      const { data } = await post(`/api/v1/admin/servers/${server.id}/command`, { type, payload: parsed, expiresInSeconds: term });
      if (!store.commands.peek(data.id)) store.commands.put(data);
      announce(`${type} queued`);
    } catch (refusal) {
      setFault({ field: null, message: refusal.code === "UNREACHABLE" ? "No answer came. The timeline shows whether it was queued." : `${refusal.message} Nothing was sent.` });
    } finally { setBusy(false); }
  }

  const there = server.presence === "online";
  return html`<section class="panel" id="send" aria-labelledby="sc"><header><h2 id="sc">Send a command</h2></header>
    <form class="panel-body stack" onSubmit=${send}>
      <div class="field"><label for="ct">Command</label><select ref=${first} class="input mono" id="ct" value=${type} onChange=${(event) => { setType(event.currentTarget.value); setPayload(TYPES[event.currentTarget.value] ?? payload); }}>${[...new Set([...Object.keys(TYPES), type])].map((one) => html`<option key=${one} value=${one}>${one}</option>`)}</select></div>
      <div class="field"><label for="pl">Payload <span class="muted">JSON</span></label><textarea class="input mono" id="pl" rows="3" spellcheck=${false} value=${payload} aria-invalid=${fault?.field === "payload" ? "true" : null} onInput=${(event) => setPayload(event.currentTarget.value)}></textarea></div>
      <div class="field"><label for="ex">Expires if not acknowledged within</label><select class="input" id="ex" value=${term} onChange=${(event) => setTerm(Number(event.currentTarget.value))}>${TERMS.map(([seconds, word]) => html`<option key=${seconds} value=${seconds}>${word}</option>`)}</select></div>
      ${fault && html`<p class="error" role="alert"><${Icon} name="class-red" />${fault.message}</p>`}
      <button class="btn btn-main" type="submit" aria-busy=${busy} aria-disabled=${connected() ? null : "true"}><${Icon} name="send" />${busy ? "Sending" : `Send to ${server.domain.split(".")[0]}`}</button>
      <p class="hint">${!connected() ? "You are offline, so nothing can be sent." : there ? "The server is online. If it drops, the command waits and is sent again, and still acts once." : "The server is away. The command waits for it until it expires, and acts once."}</p>
    </form></section>`;
}
