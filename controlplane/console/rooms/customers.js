// Customers, as staff see them: found, looked at, made.
import { post } from "../api.js";
import { html } from "../html.js";
import { ConnectionBanner } from "../parts/banner.js";
import { Dialog } from "../parts/dialog.js";
import { Entry, SaveBar, useSaving } from "../parts/form.js";
import { Icon } from "../parts/icon.js";
import { AsOf, Empty, Listed, PAGE, Search, Table, useFilters } from "../parts/list.js";
import { Said } from "../parts/text.js";
import { AccountState } from "../parts/words.js";
import { useDraft, useList } from "../records.js";
import { go } from "../router.js";
import { may } from "../session.js";
import { when } from "../time.js";
import { useState } from "../vendor/hooks.mjs";

const FIELDS = ["email", "name", "company"];

function New({ onClose }) {
  const draft = useDraft("customer new", { email: "", name: "", company: "" });
  const saving = useSaving({
    draft, done: "The customer is here. A mail asks for a password.",
    save: async (changed) => {
      const { data } = await post("/api/v1/admin/customers", { email: draft.value("email").trim(), name: draft.value("name"), ...(changed.company ? { company: changed.company } : {}) });
      onClose();
      go(`/admin/customers/${data.id}`);
    },
  });
  const entry = { draft, fault: saving.fault };
  return html`<${Dialog} label="New customer" onClose=${onClose}><form onSubmit=${saving.submit}><h2>New customer</h2>
    <${Entry} ...${entry} name="name" label="Name" autocomplete="off" autofocus required />
    <${Entry} ...${entry} name="email" label="Email" kind="email" autocomplete="off" required hint="A mail goes there, with a link to choose a password." />
    <${Entry} ...${entry} name="company" label="Company" autocomplete="off" />
    <${SaveBar} draft=${draft} saving=${saving} word="Create" fields=${FIELDS} /></form><//>`;
}

export function Customers() {
  const [{ search, page }, set] = useFilters(["search", "page"]);
  const [making, setMaking] = useState(false);
  const number = Math.max(1, Number(page) || 1);
  const list = useList("/api/v1/admin/customers", { page: number, pageSize: PAGE, ...(search ? { search } : {}) }, { topic: "customers", kinds: /^customer\.(created|changed|updated|suspended)/ });
  const make = may("customers.write") && html`<button class="btn btn-main" type="button" onClick=${() => setMaking(true)}><${Icon} name="plus" />New customer…</button>`;
  return html`<${ConnectionBanner} />
    <header class="page-head"><div><h1 tabindex="-1">Customers</h1><p><${AsOf} /></p></div><div class="row"><a class="btn" href="/admin/founding-members">Founding members</a>${make}</div></header>
    <${Search} label="Name, company or email" value=${search} onSearch=${(words) => set({ search: words })} />
    <${Listed} list=${list} page=${number} onPage=${(next) => set({ page: String(next) })} label="customers" filtered=${Boolean(search)}
      none=${html`<${Empty} icon="users" title="No customer yet">Create the first one; then give them an order.<//>`}
      nothing=${html`<${Empty} icon="search" title="Nobody is called that" action=${html`<button class="btn" type="button" onClick=${() => set({ search: "" })}>Show all</button>`}>The search looks at beginnings of words.<//>`}>
      <${Table} caption="Customers" head=${["Customer", "Email", "Orders", "Plan", "State", "Since"]} rows=${(list.rows ?? []).map((one) => ({ key: one.id, cells: [
        html`<a class="name walk" href=${`/admin/customers/${one.id}`}><${Said} text=${one.company ?? one.name} fold=${80} /></a>${one.company && html`<span class="sub"><${Said} text=${one.name} fold=${60} /></span>`}`,
        html`<${Said} text=${one.email} fold=${80} />`, (one.orders ?? []).length, one.subscription ? one.subscription.plan[0] + one.subscription.plan.slice(1).toLowerCase() : "–", html`<${AccountState} status=${one.status} />`, when(one.createdAt, "today, "),
      ] }))} /><//>
    ${making && html`<${New} onClose=${() => setMaking(false)} />`}`;
}
