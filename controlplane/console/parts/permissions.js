// What each role of the staff may do, in words: one readable table of the Hub's permissions.
import { html } from "../html.js";
import { PERMISSIONS } from "../session.js";
import { Icon } from "./icon.js";

export const ROLES = [["OWNER", "Owner"], ["ADMIN", "Admin"], ["MANAGER", "Manager"], ["SUPPORT", "Support"]];
export const ROLE_MEANS = {
  OWNER: "Everything, the staff and the settings too.",
  ADMIN: "Everything but managing the staff and changing settings.",
  MANAGER: "Customers, orders, agents and approvals; no commands, no billing, no settings.",
  SUPPORT: "Looks at customers, orders and servers, and starts and stops containers.",
};
export const roleWord = (role) => ROLES.find(([one]) => one === role)?.[1] ?? role;

const WORDS = {
  "customers.read": "See customers", "customers.write": "Make, change and suspend customers",
  "orders.read": "See orders", "orders.write": "Make and change orders",
  "servers.read": "See servers", "servers.command": "Send commands to servers", "tokens.issue": "Make registration tokens and API keys", "keys.revoke": "Revoke keys",
  "containers.read": "See containers", "containers.manage": "Start, stop and restart containers",
  "agents.read": "See agents", "agents.write": "Change, deploy and take off agents",
  "approvals.read": "See requests", "approvals.decide": "Approve and deny requests",
  "billing.read": "See billing", "billing.write": "Change billing, make founding members", "analytics.read": "See figures over all customers",
  "enterprise.read": "See enterprise clients", "enterprise.write": "Change enterprise clients",
  "settings.read": "See settings and API keys", "settings.write": "Change settings",
  "audit.read": "Read the audit log", "staff.read": "See the staff", "staff.manage": "Invite, change and deactivate staff", "factors.reset": "Take off a second factor that was lost",
};

const Held = ({ held }) => (held ? html`<span class="ok"><${Icon} name="check" /><span class="vh">yes</span></span>` : html`<span class="muted" aria-hidden="true">–</span><span class="vh">no</span>`);

export const PermissionTable = () => html`<div class="scroller" tabindex="0" role="region" aria-label="Table of roles"><table class="table matrix"><caption class="vh">What each role may do</caption>
  <thead><tr><th scope="col">May</th>${ROLES.map(([role, word]) => html`<th scope="col" key=${role}>${word}</th>`)}</tr></thead>
  <tbody>${Object.entries(PERMISSIONS).map(([name, roles]) => html`<tr key=${name}><th scope="row">${WORDS[name] ?? name}</th>${ROLES.map(([role]) => html`<td key=${role}><${Held} held=${roles.includes(role)} /></td>`)}</tr>`)}</tbody></table></div>`;
