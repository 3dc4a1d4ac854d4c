// A server's key: a new one by a registration token, or none any more.
import { post, remove } from "../api.js";
import { html } from "../html.js";
import { may } from "../session.js";
import { servers } from "../store.js";
import { when } from "../time.js";
import { useState } from "../vendor/hooks.mjs";
import { Dialog } from "./dialog.js";
import { Icon } from "./icon.js";
import { toast } from "./toast.js";
import { Typed } from "./typed.js";

function Revoke({ server, onClose }) {
  const name = server.domain.split(".")[0];
  const act = async () => {
    servers.put((await remove(`/api/v1/admin/servers/${server.id}/key`)).data);
    toast(`The key of ${server.domain} is revoked.`);
  };
  return html`<${Typed} title=${`Revoke the key of ${name}?`} name=${name} keep="Keep the key" go="Revoke key" act=${act} onClose=${onClose}>Its socket closes within a second and stays closed. What it asks can be decided, but does not reach it. To return, the server must register again.<//>`;
}

/** What is shown once: a token or a key, to be copied now. */
export function Once({ label, title, secret, onClose, children }) {
  const copy = () => navigator.clipboard.writeText(secret).then(() => toast("Copied."), () => toast("This browser does not let the page copy.", "warn"));
  return html`<${Dialog} label=${label} onClose=${onClose}><div><h2>${title}</h2>
    <p>${children}</p>
    <pre class="code" tabindex="0" aria-label=${`The ${label}`}>${secret}</pre>
    <div class="actions"><button class="btn" type="button" onClick=${copy}><${Icon} name="copy" />Copy</button><button class="btn btn-main" type="button" onClick=${onClose}>Done</button></div></div><//>`;
}

export const Token = ({ server, token, onClose }) => html`<${Once} label="Registration token" title=${`Registration token for ${server.domain}`} secret=${token.registrationToken} onClose=${onClose}>It is shown once and works once, until ${when(token.expiresAt)}. As soon as the server registers with it, its old key stops working.<//>`;

export function KeyPanel({ server, connected }) {
  const [open, setOpen] = useState(null); // revoke, or a token
  const [fault, setFault] = useState(null);
  async function rotate() {
    if (!connected) return;
    setFault(null);
    try { setOpen((await post(`/api/v1/admin/orders/${server.orderId}/registration-token`)).data); } catch (refusal) { setFault(refusal.message); }
  }
  return html`<section class="panel" aria-labelledby="ky"><header><h2 id="ky">Key</h2><span class=${`push state ${server.keyRevokedAt ? "bad" : "ok"}`}><${Icon} name=${server.keyRevokedAt ? "refused" : "key"} />${server.keyRevokedAt ? `Revoked ${when(server.keyRevokedAt, "")}` : "Valid"}</span></header>
    <div class="panel-body stack"><p class="hint">Registered ${when(server.registeredAt)}. A new registration token gives the server a new key; until it is used, the old one stays.</p>
    ${fault && html`<p class="error" role="alert"><${Icon} name="class-red" />${fault}</p>`}
    <div class="row">${may("tokens.issue") && html`<button class="btn" type="button" aria-disabled=${connected ? null : "true"} onClick=${rotate}>New token…</button>`}
      ${may("keys.revoke") && !server.keyRevokedAt && html`<button class="btn" type="button" aria-disabled=${connected ? null : "true"} onClick=${() => connected && setOpen("revoke")}>Revoke key…</button>`}</div></div>
    ${open === "revoke" ? html`<${Revoke} server=${server} onClose=${() => setOpen(null)} />` : open && html`<${Token} server=${server} token=${open} onClose=${() => setOpen(null)} />`}</section>`;
}
