// A customer's preferences: how mail tells of what waits, and in which time zone.
import { get, patch } from "../api.js";
import { html } from "../html.js";
import { ConnectionBanner } from "../parts/banner.js";
import { Icon } from "../parts/icon.js";
import { toast } from "../parts/toast.js";
import { session } from "../session.js";
import { connected } from "../socket.js";
import { useEffect, useState } from "../vendor/hooks.mjs";

const MAIL = [
  ["atOnce", "At once", "A mail the moment a request waits, with a link that leads to it. One mail a request."],
  ["digest", "In a digest", "Requests that came close together are told in one mail."],
  ["never", "Never", "No mail. Requests still wait here, and expire if nobody decides."],
];
const here = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

export function Settings() {
  const [settings, setSettings] = useState(null);
  const [busy, setBusy] = useState(null); // what is on its way to the Hub
  const [trouble, setTrouble] = useState(null);
  const load = () => get("/api/v1/customer/settings").then(({ data }) => { setSettings(data); setTrouble(null); }, (fault) => setTrouble(fault.message));
  useEffect(() => { load(); }, []);
  async function change(body, said) {
    if (busy || !connected()) return;
    setBusy(body);
    setTrouble(null);
    try {
      setSettings((await patch("/api/v1/customer/settings", body)).data);
      toast(said);
    } catch (fault) { setTrouble(`${fault.message} Nothing has changed.`); } finally { setBusy(null); }
  }
  const chosen = busy?.notifications?.approvals ?? settings?.notifications.approvals;
  return html`<${ConnectionBanner} />
    <header class="page-head"><div><h1 tabindex="-1">Settings</h1><p>Mail goes to <bdi>${session.value.user.email}</bdi>.</p></div></header>
    ${trouble && html`<p class="error" role="alert"><${Icon} name="class-red" />${trouble}</p>`}
    ${!settings ? !trouble && html`<div class="stack" aria-busy="true" aria-label="Loading"><span class="bone bone-l"></span><span class="bone bone-box"></span></div>` : html`<div class="cols cols-aside"><div class="stack stack-l">
      <fieldset class="section"><legend class="as-head">Mail when a request waits</legend><div class="choices">${MAIL.map(([value, word, means]) => html`<label class="check" key=${value}><input type="radio" name="mail" checked=${chosen === value} aria-disabled=${connected() ? null : "true"}
        onClick=${(event) => { if (!connected()) event.preventDefault(); }} onChange=${() => change({ notifications: { approvals: value } }, value === "never" ? "No more mail. Requests wait here." : `Mail comes ${word.toLowerCase()}.`)} /><span><b>${word}</b><br /><span class="soft small">${means}</span></span></label>`)}</div></fieldset>
      <section class="section"><header><h2>Time zone of your mails</h2></header><p class="pad-t"><b>${settings.timezone.replaceAll("_", " ")}</b></p>
        ${settings.timezone !== here() && html`<div><button class="btn" type="button" aria-disabled=${connected() ? null : "true"} onClick=${() => change({ timezone: here() }, "Mails tell times in this zone now.")}>Use this browser’s: ${here().replaceAll("_", " ")}</button></div>`}
        <p class="hint">On these pages times are told in the zone of your browser.</p></section>
      ${!connected() && html`<p class="hint">You are offline, so nothing can be changed.</p>`}
    </div></div>`}`;
}
