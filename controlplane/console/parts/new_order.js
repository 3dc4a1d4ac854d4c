// A new order: for whom, which tier, which domain and which tools.
import { get, post } from "../api.js";
import { html } from "../html.js";
import { useDraft } from "../records.js";
import { go } from "../router.js";
import { useEffect, useState } from "../vendor/hooks.mjs";
import { Dialog } from "./dialog.js";
import { Entry, SaveBar, Wrong, asLines, tidy, useSaving } from "./form.js";
import { Said } from "./text.js";
import { TIERS } from "./words.js";

const FIELDS = ["userId", "tier", "domain", "tools", "serverIp", "sshPort"];
const EMPTY = { userId: "", tier: "Build", domain: "", tools: [], serverIp: "", sshPort: "" };

/** Finding the customer by name: the first few that fit. */
export function Whose({ draft, fault }) {
  const [words, setWords] = useState("");
  const [found, setFound] = useState([]);
  useEffect(() => {
    const timer = setTimeout(() => get("/api/v1/admin/customers", { pageSize: 8, ...(words.trim() ? { search: words.trim() } : {}) }).then(({ data }) => setFound(data), () => setFound([])), 250);
    return () => clearTimeout(timer);
  }, [words]);
  const wrong = fault?.field?.("userId");
  return html`<fieldset class="field"><legend>Customer</legend><input class="input" type="search" aria-label="Find the customer" placeholder="Name, company or email" value=${words} autofocus onInput=${(event) => setWords(event.currentTarget.value)} />
    <div class="choices">${found.map((one) => html`<label class="check" key=${one.id}><input type="radio" name="whose" checked=${draft.value("userId") === one.id} onChange=${() => draft.set("userId", one.id)} /><span><b><${Said} text=${one.company ?? one.name} fold=${60} /></b> <span class="muted small"><${Said} text=${one.email} fold=${60} /></span></span></label>`)}${!found.length && html`<p class="hint">Nobody is called that.</p>`}</div>
    ${wrong && html`<${Wrong} id="f-userId-e">${wrong}<//>`}</fieldset>`;
}

/** `customer`: whose it is; null: to be found. */
export function NewOrder({ customer = null, onClose }) {
  const draft = useDraft(`order new ${customer?.id ?? ""}`, EMPTY);
  const saving = useSaving({
    draft, done: "The order is here. A registration token lets its server in.",
    save: async () => {
      const value = draft.value, tools = tidy(value("tools"));
      const { data } = await post("/api/v1/admin/orders", {
        userId: customer?.id ?? value("userId"), tier: value("tier"), domain: value("domain").trim(),
        ...(tools.length ? { tools } : {}), ...(value("serverIp") ? { serverIp: value("serverIp").trim() } : {}), ...(value("sshPort") ? { sshPort: Number(value("sshPort")) } : {}),
      });
      onClose();
      go(`/admin/orders/${data.id}`);
    },
  });
  const entry = { draft, fault: saving.fault, autocomplete: "off" };
  return html`<${Dialog} label="New order" onClose=${onClose}><form onSubmit=${saving.submit}><h2>New order</h2>
    ${customer ? html`<p>For <b><${Said} text=${customer.company ?? customer.name} fold=${80} /></b>, in manual mode, with its payment confirmed.</p>` : html`<${Whose} draft=${draft} fault=${saving.fault} />`}
    <${Entry} ...${entry} name="domain" label="Domain" placeholder="acme.letsbe.biz" spellcheck=${false} autocapitalize="none" autofocus=${Boolean(customer)} required />
    <${Entry} ...${entry} name="tier" label="Tier" kind="select" options=${TIERS} />
    <${Entry} ...${entry} name="tools" label="Tools" kind="textarea" rows="3" cls="mono" ...${asLines} spellcheck=${false} hint="One a line, as nextcloud or ghost. Empty: those of the tier." />
    <${Entry} ...${entry} name="serverIp" label="Server address" spellcheck=${false} hint="Empty while there is no server." />
    <${Entry} ...${entry} name="sshPort" label="SSH port" kind="number" min="1" max="65535" hint="Empty: the port of the settings." />
    <${SaveBar} draft=${draft} saving=${saving} word="Create" fields=${FIELDS} /></form><//>`;
}
