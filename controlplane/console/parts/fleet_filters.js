// Above the fleet: its totals, the search, the filters.
import { html } from "../html.js";
import { pending } from "../store.js";
import { now, span } from "../time.js";
import { useState } from "../vendor/hooks.mjs";
import { Icon } from "./icon.js";
import { presenceOf } from "./presence.js";

const numbers = (version) => (version ?? "").split(/[^\d]+/).filter(Boolean).map(Number);
/** Is one version below another, number by number? */
export function below(version, other) {
  const one = numbers(version), two = numbers(other);
  for (let at = 0; at < Math.max(one.length, two.length); at += 1) if ((one[at] ?? 0) !== (two[at] ?? 0)) return (one[at] ?? 0) < (two[at] ?? 0);
  return false;
}
/** Has a server told an older version than the newest one heard of? */
export const behind = (server, newest) => Boolean(server.safetyWrapperVersion) && below(server.safetyWrapperVersion, newest);
const newestOf = (all) => all.map((one) => one.safetyWrapperVersion).filter(Boolean).reduce((best, one) => (best === null || below(best, one) ? one : best), null);
export const unapplied = (server) => server.configVersion > server.configAppliedVersion;

const CHIPS = {
  approvals: ["Has open approvals", (one) => one.pendingApprovals > 0],
  unacked: ["Has unacknowledged", (one) => one.unacknowledged > 0],
  behind: ["Wrapper behind", (one, newest) => behind(one, newest)],
  config: ["Configuration not applied", unapplied],
};

/** `all`: every server, so that a filter knows what the newest version is. */
export function useFilter(all, onChange) {
  const [text, setText] = useState("");
  const [presence, setPresence] = useState("all");
  const [chips, setChips] = useState([]);
  const words = text.toLowerCase().split(/\s+/u).filter(Boolean);
  const set = (change) => (value) => { change(value); onChange(); };
  const filter = {
    text, presence, chips, newest: newestOf(all), key: JSON.stringify([words, presence, chips]),
    setText: set(setText), setPresence: set(setPresence),
    toggle: (chip) => set(setChips)(chips.includes(chip) ? chips.filter((one) => one !== chip) : [...chips, chip]),
    clear: () => { setText(""); setPresence("all"); setChips([]); onChange(); },
    fits(server) {
      const said = `${server.domain} ${server.company ?? ""} ${server.serverIp ?? ""} ${server.id} ${server.orderId}`.toLowerCase();
      const state = presenceOf(server);
      return words.every((word) => said.includes(word))
        && (presence === "all" || state === presence || (presence === "offline" && state === "refused"))
        && chips.every((chip) => CHIPS[chip][1](server, filter.newest));
    },
  };
  return filter;
}

const count = (all, wanted) => all.filter(wanted).length;
const gone = (one) => ["offline", "refused"].includes(presenceOf(one));

export function Filters({ filter, all }) {
  const late = count(all, (one) => presenceOf(one) === "late"), offline = count(all, gone);
  const choice = (value, icon, word) => html`<label><input type="radio" name="presence" checked=${filter.presence === value} onChange=${() => filter.setPresence(value)} />${icon && html`<${Icon} name=${icon} />`}${word}</label>`;
  return html`<div class="row">
      <label class="with-icon"><span class="vh">Search tenants</span><${Icon} name="search" /><input class="input" type="search" placeholder="Search tenant, company, IP, id" value=${filter.text} onInput=${(event) => filter.setText(event.currentTarget.value)} /><kbd>/</kbd></label>
      <fieldset class="seg"><legend class="vh">Presence</legend>${choice("all", null, "All")}${choice("late", "late", `Late ${late}`)}${choice("offline", "ring", `Offline ${offline}`)}</fieldset>
    </div>
    <div class="scroll-x" role="group" aria-label="Filters">${Object.entries(CHIPS).map(([chip, [word, fits]]) => html`<button key=${chip} class="chip" type="button" aria-pressed=${filter.chips.includes(chip)} onClick=${() => filter.toggle(chip)}>${word}${chip === "behind" && filter.newest ? ` ${filter.newest}` : ""} <b>${count(all, (one) => fits(one, filter.newest))}</b></button>`)}</div>`;
}

function Split({ all }) {
  const online = count(all, (one) => presenceOf(one) === "online"), late = count(all, (one) => presenceOf(one) === "late");
  const share = (number) => `${all.length ? (number / all.length) * 100 : 0}%`;
  return html`<svg class="split" aria-hidden="true"><rect class="a" width=${share(online)} height="8" rx="2" /><rect class="b" x=${share(online)} width=${share(late)} height="8" /><rect class="c" x=${share(online + late)} width=${share(all.length - online - late)} height="8" /></svg>
    <small class="row row-wide"><span class="state is-online"><${Icon} name="online" />${online} online</span><span class="state is-late"><${Icon} name="late" />${late} late</span><span class="state is-offline"><${Icon} name="ring" />${all.length - online - late} offline</span></small>`;
}

export function Totals({ all }) {
  const waiting = pending.value;
  const critical = count(waiting, (one) => one.commandClass === "critical_red"), red = count(waiting, (one) => one.commandClass === "red");
  const oldest = waiting[0] ? span(now.value - Date.parse(waiting[0].requestedAt)) : null;
  const unacked = all.reduce((sum, one) => sum + one.unacknowledged, 0), holders = count(all, (one) => one.unacknowledged > 0);
  const newest = newestOf(all), late = count(all, (one) => behind(one, newest));
  const open = count(all, unapplied), broken = count(all, (one) => one.configError);
  return html`<dl class="totals">
    <div><dt>Tenants</dt><dd>${all.length}<${Split} all=${all} /></dd></div>
    <div><dt>Open approvals</dt><dd>${waiting.length}<small>${waiting.length ? html`${critical} critical, ${red} red, <span class="nowrap">oldest ${oldest}</span>` : "nobody waits"}</small></dd></div>
    <div><dt>Unacknowledged</dt><dd>${unacked}<small>${unacked ? `on ${holders} ${holders === 1 ? "tenant" : "tenants"}` : "everything arrived"}</small></dd></div>
    <div><dt>Wrappers behind</dt><dd>${late}<small>${newest ? `newest is ${newest}` : "none heard yet"}</small></dd></div>
    <div><dt>Configurations open</dt><dd>${open}<small>${broken ? `${broken} failed to apply` : open ? "offered, not yet applied" : "all applied"}</small></dd></div>
  </dl>`;
}
