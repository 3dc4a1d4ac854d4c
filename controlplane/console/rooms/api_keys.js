// Keys by which outside callers ask the public API: made, shown once, revoked.
import { post, remove } from "../api.js";
import { html } from "../html.js";
import { Barred } from "../parts/barred.js";
import { ConnectionBanner } from "../parts/banner.js";
import { Dialog } from "../parts/dialog.js";
import { Entry, SaveBar, useSaving } from "../parts/form.js";
import { Icon } from "../parts/icon.js";
import { Once } from "../parts/key.js";
import { AsOf, Crumbs, Empty, Listed, PAGE, Table, useFilters } from "../parts/list.js";
import { Said } from "../parts/text.js";
import { toast } from "../parts/toast.js";
import { Typed } from "../parts/typed.js";
import { useDraft, useList } from "../records.js";
import { may } from "../session.js";
import { now, serverNow, when } from "../time.js";
import { useState } from "../vendor/hooks.mjs";

const KEYS = "/api/v1/admin/api-keys";
const DAY_MS = 86_400_000;
const TERMS = [["", "until it is revoked"], ["30", "for 30 days"], ["90", "for 90 days"], ["365", "for a year"]];

function NewKey({ onClose, onMade }) {
  const draft = useDraft("api key new", { name: "", days: "", mayOrder: false });
  const saving = useSaving({
    draft, done: "The key is made.",
    save: async () => {
      const days = Number(draft.value("days"));
      const { data } = await post(KEYS, { name: draft.value("name").trim(), mayOrder: draft.value("mayOrder"), expiresAt: days ? new Date(serverNow() + days * DAY_MS).toISOString() : null });
      onMade(data);
    },
  });
  const entry = { draft, fault: saving.fault, autocomplete: "off" };
  return html`<${Dialog} label="New API key" onClose=${onClose}><form onSubmit=${saving.submit} noValidate><h2>New API key</h2>
    <${Entry} ...${entry} name="name" label="Name" maxlength="100" autofocus required hint="Who calls with it, such as “Website”." />
    <${Entry} ...${entry} name="days" field="expiresAt" label="Valid" kind="select" options=${TERMS} />
    <${Entry} ...${entry} name="mayOrder" label="May create orders" kind="check" hint="And customers with them, for a shop that takes the money. Without it the key reads how far an order is." />
    <${SaveBar} draft=${draft} saving=${saving} word="Make the key" fields=${["name", "expiresAt", "mayOrder"]} /></form><//>`;
}

function KeyState({ one }) {
  if (one.revokedAt) return html`<span class="state bad"><${Icon} name="refused" />Revoked ${when(one.revokedAt, "")}</span>`;
  if (!one.expiresAt) return html`<span class="state ok"><${Icon} name="check" />Good</span>`;
  const over = Date.parse(one.expiresAt) <= now.value;
  return html`<span class=${`state ${over ? "warn" : "ok"}`}><${Icon} name=${over ? "clock" : "check"} />${over ? "Expired" : "Good until"} ${when(one.expiresAt, "")}</span>`;
}

function Keys() {
  const [{ page }, set] = useFilters(["page"]);
  const [making, setMaking] = useState(false), [made, setMade] = useState(null), [leaving, setLeaving] = useState(null);
  const number = Math.max(1, Number(page) || 1);
  const list = useList(KEYS, { page: number, pageSize: PAGE }, { topic: "settings", kinds: /^key\./ });
  const revokes = may("keys.revoke");
  return html`<${ConnectionBanner} />
    <${Crumbs} to="/admin/settings" word="Settings">API keys<//>
    <header class="page-head"><div><h1 tabindex="-1">API keys</h1><p>Outside callers of the public API show one. <${AsOf} /></p></div><div class="row">${may("tokens.issue") && html`<button class="btn btn-main" type="button" onClick=${() => setMaking(true)}><${Icon} name="plus" />New key…</button>`}</div></header>
    <${Listed} list=${list} page=${number} onPage=${(next) => set({ page: String(next) })} label="API keys" none=${html`<${Empty} icon="key" title="No API key yet">Make one for the website or another outside caller; it is shown once.<//>`}>
      <${Table} caption="API keys" head=${["Name", "Begins with", "May", "State", "Last used", "Made", ...(revokes ? [""] : [])]} rows=${(list.rows ?? []).map((one) => ({ key: one.id, cells: [
        html`<b><${Said} text=${one.name} fold=${80} /></b>`, html`<code>${one.prefix}…</code>`, one.mayOrder ? "create and read orders" : "read orders", html`<${KeyState} one=${one} />`, one.lastUsedAt ? when(one.lastUsedAt, "today, ") : "never", html`${when(one.createdAt, "today, ")} by <${Said} text=${one.createdBy} fold=${60} />`,
        ...(revokes ? [one.revokedAt ? "" : html`<button class="btn btn-s" type="button" onClick=${() => setLeaving(one)}>Revoke…<span class="vh"> ${one.name}</span></button>`] : []),
      ] }))} /><//>
    ${making && html`<${NewKey} onClose=${() => setMaking(false)} onMade=${(key) => { setMaking(false); setMade(key); list.load(); }} />`}
    ${made && html`<${Once} label="API key" title=${`API key for ${made.name}`} secret=${made.key} onClose=${() => setMade(null)}>It is shown once. The Hub keeps only its hash; who has lost it makes another one.<//>`}
    ${leaving && html`<${Typed} title=${`Revoke the key of ${leaving.name}?`} name=${leaving.name} keep="Keep the key" go="Revoke key" onClose=${() => setLeaving(null)} act=${async () => { list.put((await remove(`${KEYS}/${leaving.id}`)).data); toast("Revoked. Calls with it are refused from now on."); }}>Whoever calls with it is refused at once. It cannot be brought back.<//>`}`;
}

export const ApiKeys = () => (may("settings.read") ? html`<${Keys} />` : html`<${Barred} what="API keys" />`);
