// One tenant in the fleet's table.
import { html } from "../html.js";
import { behind } from "./fleet_filters.js";
import { Icon } from "./icon.js";
import { Presence } from "./presence.js";
import { Said } from "./text.js";

/** A share in percent; no reading is a dash, never 0. */
export function Meter({ percent }) {
  if (percent === null || !Number.isFinite(percent)) return html`<span class="muted">–<span class="vh"> no reading</span></span>`;
  const whole = Math.round(Math.max(0, Math.min(100, percent)));
  return html`<span class=${whole >= 90 ? "meter meter-bad" : whole >= 75 ? "meter meter-warn" : "meter"}><span>${whole}%</span><svg aria-hidden="true"><rect class="t" width="100%" height="4" /><rect class="f" width=${`${whole}%`} height="4" /></svg></span>`;
}
const share = (used, total) => (typeof used === "number" && total > 0 ? (used / total) * 100 : null);

/** CPU, memory and disk of a server that can still be believed. */
export function readings(server) {
  const { resources } = server;
  if (!resources || server.presence === "offline") return [null, null, null];
  return [resources.cpuPercent ?? null, share(resources.memoryUsedMb, resources.memoryTotalMb), share(resources.diskUsedGb, resources.diskTotalGb)];
}

export function FleetRow({ server, worst, newest }) {
  const [cpu, memory, disk] = readings(server);
  const version = server.safetyWrapperVersion;
  const look = { green: "ok", yellow: "warn", red: "bad", critical: "bad" }[worst?.look] ?? "warn";
  const open = server.pendingApprovals;
  return html`<tr role="row">
    <th role="rowheader" scope="row" class="w-name"><a class="name" href=${`/admin/tenants/${server.id}`}><${Said} text=${server.domain} fold=${80} /></a><span class="sub"><${Said} text=${server.company ?? ""} fold=${80} /></span></th>
    <td role="cell" class="w-presence"><${Presence} server=${server} /></td>
    <td role="cell" class="w-third">${version ? html`<${Said} text=${version} fold=${24} />` : html`<span class="muted">–</span>`}${behind(server, newest) ? html`<span class="sub warn">behind</span>` : server.openclawVersion && html`<span class="sub" title="OpenClaw"><span class="vh">OpenClaw </span><${Said} text=${server.openclawVersion} fold=${16} /></span>`}</td>
    <td role="cell" class="n w-third" data-label="Approvals">${open ? html`<span class=${`state ${look}`}>${worst && html`<${Icon} name=${`class-${worst.look}`} />`}${open}${worst && html`<span class="vh"> highest class ${worst.word}</span>`}</span>` : html`<span class="muted">0</span>`}</td>
    <td role="cell" class="n w-third" data-label="Unacked">${server.unacknowledged ? html`<b>${server.unacknowledged}</b>` : html`<span class="muted">0</span>`}</td>
    <td role="cell" class="w-meter" data-label="CPU"><${Meter} percent=${cpu} /></td><td role="cell" class="w-meter" data-label="RAM"><${Meter} percent=${memory} /></td><td role="cell" class="w-meter" data-label="Disk"><${Meter} percent=${disk} /></td>
  </tr>`;
}
