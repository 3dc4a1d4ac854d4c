// The Hub's settings: nine categories, each a form of its own that is saved at once or not at all.
import { patch, post } from "../api.js";
import { html } from "../html.js";
import { Barred } from "../parts/barred.js";
import { ConnectionBanner } from "../parts/banner.js";
import { Act, SaveBar, Wrong, useSaving } from "../parts/form.js";
import { Icon } from "../parts/icon.js";
import { AsOf, Bones } from "../parts/list.js";
import { SettingEntry, chosen, sent } from "../parts/setting.js";
import { Said } from "../parts/text.js";
import { hasDraft, useDraft, useRecord } from "../records.js";
import { may, session } from "../session.js";
import { useLayoutEffect, useRef, useState } from "../vendor/hooks.mjs";

const SETTINGS = "/api/v1/admin/settings";
const CATEGORIES = {
  hub: ["Hub", "What customers buy, and how long things are kept."],
  provisioning: ["Provisioning", "How a tenant's server is made ready."],
  docker: ["Docker", "The Docker Engine that provisioners run on."],
  dockerhub: ["Docker Hub", "The account by which images are fetched."],
  gitea: ["Gitea", "The Git server that the stacks of tools come from."],
  netcup: ["Netcup", "The provider of servers."],
  email: ["Email", "How mail goes out, where the Hub's environment does not say."],
  notifications: ["Notifications", "What people are told of."],
  storage: ["Storage", "The object storage of photos and backups."],
};
const keyOf = (category) => `settings ${category}`;

/** A mail by the saved settings, at once; its answer stays until the next try. */
function TestMail() {
  const [to, setTo] = useState(""), [answer, setAnswer] = useState(null), [fault, setFault] = useState(null);
  const wrong = fault?.field?.("to");
  const send = async () => {
    setAnswer(null);
    setFault(null);
    setAnswer((await post(`${SETTINGS}/test-email`, to.trim() ? { to: to.trim() } : {})).data);
  };
  return html`<section class="panel" aria-labelledby="se-t"><header><h2 id="se-t">Test mail</h2></header><form class="panel-body stack" noValidate onSubmit=${(event) => { event.preventDefault(); event.currentTarget.querySelector("button").click(); }}>
    <div class="field"><label for="test-to">To</label><input class="input" id="test-to" type="email" autocomplete="off" placeholder=${session.value.user.email} value=${to} aria-invalid=${wrong ? "true" : null} aria-describedby=${wrong ? "test-to-h test-to-e" : "test-to-h"} onInput=${(event) => setTo(event.currentTarget.value)} /><p class="hint" id="test-to-h">Empty: to yourself. It goes by what is saved, not by what is typed above.</p>${wrong && html`<${Wrong} id="test-to-e">${wrong}<//>`}</div>
    <div class="row"><${Act} act=${send} busyWord="Sending" onFault=${setFault}>Send a test mail<//></div>
    <div role="status">${answer && html`<p class=${`state-line ${answer.sent ? "ok" : "bad"}`}><${Icon} name=${answer.sent ? "check" : "class-red"} /> <b>${answer.sent ? "Sent" : "Not sent"}</b> to <${Said} text=${answer.to} fold=${100} />: <${Said} text=${answer.message} fold=${400} /></p>${answer.route && html`<p class="hint">By <code><${Said} text=${answer.route} fold=${120} /></code></p>`}`}</div>
    ${fault && !wrong && html`<${Wrong}>${fault.message}<//>`}</form></section>`;
}

function Category({ category, record }) {
  const settings = record.data[category], [word, means] = CATEGORIES[category];
  const current = Object.fromEntries(settings.map((one) => [one.name, chosen(one)]));
  const draft = useDraft(keyOf(category), current);
  const locked = !may("settings.write");
  const save = async (changed) => record.take(await patch(SETTINGS, Object.fromEntries(Object.entries(changed).map(([name, value]) => [name, sent(value)])), record.version));
  const saving = useSaving({ draft, reload: record.load, done: `${word}: saved. It counts from now on.`, save });
  const waits = new Set(settings.map((one) => one.awaits));
  return html`<section class="section" aria-labelledby="se-c"><header><h2 id="se-c">${word}</h2><span class="muted">${settings.length}</span></header>
    <p class="hint none">${means}${waits.size === 1 && settings[0].awaits ? ` They count once ${settings[0].awaits} is connected.` : ""}</p>
    <form class="stack settings" onSubmit=${saving.submit} noValidate key=${category}>
      <div class="settings-grid">${settings.map((one) => html`<${SettingEntry} key=${one.name} setting=${one} draft=${draft} fault=${saving.fault} locked=${locked} alone=${waits.size > 1} />`)}</div>
      ${locked ? html`<p class="hint">Your role may look at settings, not change them. Owners may.</p>` : html`<div class="save-dock"><${SaveBar} draft=${draft} saving=${saving} word=${`Save ${word}`} fields=${settings.map((one) => one.name)} /></div>`}</form>
    ${category === "email" && !locked && html`<div class="pad-t"><${TestMail} /></div>`}</section>`;
}

function Rooms({ here }) {
  const record = useRecord(SETTINGS, { topic: "settings", concerns: (frame) => frame.kind === "settings.changed" });
  const category = here ?? "hub";
  const head = html`<header class="page-head"><div><h1 tabindex="-1">Settings</h1><p>What is saved counts at once, on every node; nothing needs a restart. <${AsOf} /></p></div><div class="row"><a class="btn" href="/admin/api-keys"><${Icon} name="key" />API keys</a></div></header>`;
  const tabs = useRef(null);
  useLayoutEffect(() => tabs.current?.querySelector("[aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" }), [category]);
  if (!CATEGORIES[category]) return html`<section class="empty"><h1 tabindex="-1">There is no such category</h1><p>The address may be old.</p><a class="btn" href="/admin/settings">Settings</a></section>`;
  return html`<${ConnectionBanner} />${head}
    <nav ref=${tabs} class="tabs" aria-label="Categories">${Object.entries(CATEGORIES).map(([name, [word]]) => html`<a key=${name} href=${`/admin/settings/${name}`} aria-current=${name === category ? "page" : null}>${word}${hasDraft(keyOf(name)) && html`<span class="warn" title="Not saved yet">•<span class="vh"> not saved yet</span></span>`}</a>`)}</nav>
    ${record.data ? html`<${Category} key=${category} category=${category} record=${record} />` : record.fault ? html`<${Wrong}>${record.fault.message} <button class="as-link" type="button" onClick=${record.load}>Try again</button><//>` : html`<${Bones} label="the settings" />`}`;
}

export const HubSettings = ({ category }) => (may("settings.read") ? html`<${Rooms} here=${category} />` : html`<${Barred} what="the settings" />`);
