// Search and commands: Ctrl K.
import { html } from "../html.js";
import { go } from "../router.js";
import { isStaff, may, signOut } from "../session.js";
import { pending, servers } from "../store.js";
import { useEffect, useLayoutEffect, useRef, useState } from "../vendor/hooks.mjs";
import { signal } from "../vendor/signals.mjs";
import { ClassTag } from "./class.js";
import { Dialog } from "./dialog.js";
import { helpOpen } from "./help.js";
import { Icon } from "./icon.js";
import { Presence } from "./presence.js";
import { nextTheme } from "./theme.js";

export const paletteOpen = signal(false);
const MOST = 6;

const fits = (text, words) => words.every((word) => text.toLowerCase().includes(word));
const rank = (text, words) => (words.length && text.toLowerCase().startsWith(words[0]) ? 0 : 1);

/** The words found, marked. */
function Found({ text, words }) {
  if (!words.length) return text;
  const pattern = new RegExp(`(${words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "giu");
  return text.split(pattern).map((piece, index) => (index % 2 ? html`<mark>${piece}</mark>` : piece));
}

function groups(words) {
  const rooms = isStaff()
    ? [["server", "Fleet", "/admin/fleet"], ["shield", "Approvals", "/admin/approvals"], ["order", "Orders", "/admin/orders"], ["users", "Customers", "/admin/customers"], ["history", "History", "/admin/history"], ...(may("staff.read") ? [["user", "Staff", "/admin/staff"]] : []), ...(may("audit.read") ? [["eye", "Audit log", "/admin/audit"]] : []), ...(may("settings.read") ? [["settings", "Settings", "/admin/settings"], ["key", "API keys", "/admin/api-keys"]] : []), ["users", "Founding members", "/admin/founding-members"], ["user", "Your account", "/admin/account"]]
    : [["home", "Home", "/customer/dashboard"], ["shield", "Approvals", "/customer/approvals"], ["agents", "Agents", "/customer/agents"], ["chart", "Usage", "/customer/usage"], ["history", "History", "/customer/history"], ["archive", "Backups", "/customer/backups"], ["order", "Billing", "/customer/billing"], ["mail", "Settings", "/customer/settings"], ["user", "Your account", "/customer/account"]];
  const commands = [
    ...rooms.map(([icon, title, to]) => ({ icon, title: `Go to ${title.toLowerCase()}`, to })),
    { icon: "theme", title: "Change the theme", act: nextTheme },
    { icon: "info", title: "Show all keys", act: () => { helpOpen.value = true; } },
    { icon: "logout", title: "Sign out", act: () => signOut().finally(() => go("/sign-in", { replace: true })) },
  ];
  const base = isStaff() ? "/admin" : "/customer";
  const tenants = servers.all().flatMap((server) => {
    const found = [{ icon: "server", title: server.domain, sub: server.company, to: `/admin/tenants/${server.id}`, end: html`<${Presence} server=${server} />` }];
    if (words.length > 1) for (const [type, word] of [["RESTART_SERVICE", "Restart a service on"], ["RUN_BACKUP", "Run a backup on"], ["PING", "Ping"]])
      found.push({ group: "Commands", icon: "terminal", title: `${word} ${server.domain}`, sub: "opens the form", to: `/admin/tenants/${server.id}?command=${type}` });
    return found;
  });
  const waiting = pending.value.map((one) => ({ icon: "shield", title: one.humanReadable.slice(0, 160), sub: one.agentId, to: `${base}/approvals/${one.id}`, end: html`<${ClassTag} name=${one.commandClass} />` }));
  const chosen = (list) => list.filter((one) => fits(`${one.title} ${one.sub ?? ""}`, words)).sort((one, other) => rank(one.title, words) - rank(other.title, words)).slice(0, MOST);
  return [
    ["Commands", chosen([...tenants.filter((one) => one.group), ...commands])],
    ["Tenants", chosen(tenants.filter((one) => !one.group))],
    ["Waiting for a decision", chosen(waiting)],
  ].filter(([, list]) => list.length);
}

function Search() {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const input = useRef(null), list = useRef(null);
  useLayoutEffect(() => { setTimeout(() => input.current?.focus(), 0); }, []);
  const words = text.toLowerCase().split(/\s+/u).filter(Boolean);
  const found = groups(words);
  const options = found.flatMap(([, some]) => some);
  const chosen = Math.min(at, options.length - 1);
  useEffect(() => list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" }), [chosen, text]);
  const close = () => { paletteOpen.value = false; };
  const take = (option, event) => {
    if (!option) return;
    if (option.to && (event.ctrlKey || event.metaKey)) return window.open(option.to, "_blank", "noopener");
    close();
    setTimeout(() => (option.to ? go(option.to) : option.act()), 0); // after the focus has gone back
  };
  const keys = (event) => {
    if (event.key === "ArrowDown") setAt((chosen + 1) % options.length);
    else if (event.key === "ArrowUp") setAt((chosen - 1 + options.length) % options.length);
    else if (event.key === "Enter") take(options[chosen], event);
    else return;
    event.preventDefault();
  };
  let number = -1;
  return html`<div class="palette-search"><${Icon} name="search" /><input ref=${input} autofocus role="combobox" aria-expanded="true" aria-controls="palette-list" aria-autocomplete="list" aria-activedescendant=${options.length ? `palette-${chosen}` : null} aria-label="Search tenants, requests, commands" placeholder="Search tenants, requests, commands" value=${text} autocomplete="off" spellcheck=${false} onInput=${(event) => { setText(event.currentTarget.value); setAt(0); }} onKeyDown=${keys} /><kbd>Esc</kbd></div>
    <div class="list" id="palette-list" role="listbox" aria-label="Results" ref=${list} tabindex="-1">
      ${found.map(([name, some]) => html`<div role="group" aria-label=${name} key=${name}><h3 role="presentation">${name}</h3>${some.map((option) => {
        number += 1;
        const index = number;
        return html`<div class="option" role="option" id=${`palette-${index}`} key=${option.to ?? option.title} aria-selected=${index === chosen} onClick=${(event) => take(option, event)} onMouseMove=${() => index !== chosen && setAt(index)}>
          <${Icon} name=${option.icon} /><span class="cut"><bdi><${Found} text=${option.title} words=${words} /></bdi>${option.sub && html` <small><bdi><${Found} text=${option.sub} words=${words} /></bdi></small>`}</span><span class="push nowrap">${option.end}</span></div>`;
      })}</div>`)}
      ${!options.length && html`<p class="none" role="option" aria-selected="false" aria-disabled="true">Nothing is called that.</p>`}
    </div>
    <p class="palette-foot"><span><kbd>↑</kbd> <kbd>↓</kbd> move</span><span><kbd>↵</kbd> open</span><span><kbd>Ctrl</kbd> <kbd>↵</kbd> open in a new tab</span></p>`;
}

export function Palette() {
  if (!paletteOpen.value) return null;
  return html`<${Dialog} cls="palette" label="Search and commands" onClose=${() => { paletteOpen.value = false; }}><${Search} /><//>`;
}
