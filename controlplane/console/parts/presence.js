// Whether a server is there: glyph, word, age.
import { html } from "../html.js";
import { age } from "../time.js";
import { Icon } from "./icon.js";

export const PRESENCE = { online: ["online", "Online"], late: ["late", "Late"], offline: ["ring", "Offline"], refused: ["refused", "Refused"] };
export const presenceOf = (server) => (server.keyRevokedAt ? "refused" : server.presence);

export function Presence({ server, long = false }) {
  const state = presenceOf(server);
  const [icon, word] = PRESENCE[state];
  const seen = state === "refused" ? "key revoked" : server.lastSeenAt ? `${long ? "last frame " : ""}${age(server.lastSeenAt)}${long ? " ago" : ""}` : "never seen";
  return html`<span class="presence"><span class=${`state is-${state}`}><${Icon} name=${icon} />${word}</span> <span class="age">${seen}</span></span>`;
}
