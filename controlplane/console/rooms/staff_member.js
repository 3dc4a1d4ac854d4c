// One member of the staff: role, standing and second factor.
import { patch, remove } from "../api.js";
import { html } from "../html.js";
import { historyOf } from "../parts/audit_entry.js";
import { Barred } from "../parts/barred.js";
import { ConnectionBanner } from "../parts/banner.js";
import { Act, Entry, SaveBar, useSaving } from "../parts/form.js";
import { AsOf, Bones, Crumbs, Missing } from "../parts/list.js";
import { ROLES, ROLE_MEANS, roleWord } from "../parts/permissions.js";
import { Said } from "../parts/text.js";
import { toast } from "../parts/toast.js";
import { Typed } from "../parts/typed.js";
import { AccountState } from "../parts/words.js";
import { useDraft, useRecord } from "../records.js";
import { may, session } from "../session.js";
import { when } from "../time.js";
import { useState } from "../vendor/hooks.mjs";
import { Factor } from "./staff.js";

const isOwn = (member) => member.id === session.value.user.id;
const pathOf = (member) => `/api/v1/admin/staff/${member.id}`;

function RolePanel({ member, record }) {
  const draft = useDraft(`staff ${member.id}`, member);
  const locked = !may("staff.manage") || isOwn(member);
  const saving = useSaving({ draft, reload: record.load, done: "Saved. It counts from their next click on.", save: async (changed) => record.take(await patch(pathOf(member), changed, record.version)) });
  return html`<section class="panel" aria-labelledby="sm-r"><header><h2 id="sm-r">What they may do</h2></header><form class="panel-body stack" onSubmit=${saving.submit} noValidate>
    <${Entry} draft=${draft} fault=${saving.fault} name="role" label="Role" kind="select" options=${ROLES} locked=${locked} hint=${ROLE_MEANS[draft.value("role")]} told=${roleWord} />
    ${!may("staff.manage") ? html`<p class="hint">Owners give roles.</p>` : isOwn(member) ? html`<p class="hint">Nobody changes their own role; another owner may.</p>` : html`<${SaveBar} draft=${draft} saving=${saving} fields=${["role"]} />`}</form></section>`;
}

/** Does something to the member as they were read; a stale version reads anew, so that the next press knows what it does. */
async function asRead(record, act) {
  try { return await act(); } catch (refusal) {
    if (refusal.status === 409) await record.load();
    throw refusal;
  }
}

function Standing({ member, record }) {
  const [asking, setAsking] = useState(null);
  const changes = may("staff.manage") && !isOwn(member);
  const put = (status) => asRead(record, async () => record.take(await patch(pathOf(member), { status }, record.version)));
  const leave = () => asRead(record, async () => { await remove(pathOf(member), record.version); await record.load(); });
  return html`<section class="panel" aria-labelledby="sm-s"><header><h2 id="sm-s">Standing</h2><span class="push"><${AccountState} status=${member.status} /></span></header><div class="panel-body stack">
    <dl class="facts"><dt>Since</dt><dd>${when(member.createdAt)}</dd><dt>Member</dt><dd class="mono">${member.id}</dd>${may("audit.read") && html`<dt>Audit log</dt><dd class="row row-wide"><a href=${historyOf(member.id, "target")}>History of changes</a><a href=${historyOf(member.id, "authorId")}>What they did</a></dd>`}</dl>
    ${changes && html`<div class="row">${member.status !== "ACTIVE" && html`<${Act} act=${async () => { await put("ACTIVE"); toast("They may sign in again."); }}>Let them in again<//>`}
      ${member.status === "ACTIVE" && html`<button class="btn" type="button" onClick=${() => setAsking("suspend")}>Suspend…</button>`}
      ${member.status !== "DEACTIVATED" && html`<button class="btn" type="button" onClick=${() => setAsking("deactivate")}>Deactivate…</button>`}</div>`}
    ${isOwn(member) && html`<p class="hint">This is you. Nobody suspends or deactivates themselves.</p>`}</div>
    ${asking === "suspend" && html`<${Typed} title=${`Suspend ${member.name}?`} name=${member.email} keep="Keep them" go="Suspend" onClose=${() => setAsking(null)} act=${async () => { await put("SUSPENDED"); toast("Suspended. They are signed out everywhere."); }}>They are signed out at once and cannot sign in until they are let in again.<//>`}
    ${asking === "deactivate" && html`<${Typed} title=${`Deactivate ${member.name}?`} name=${member.email} keep="Keep them" go="Deactivate" onClose=${() => setAsking(null)} act=${async () => { await leave(); toast("Deactivated. They are signed out everywhere."); }}>They are signed out at once, their open links and the invitations they sent are void, and they are out of the staff. What they did stays in the audit log.<//>`}</section>`;
}

function SecondFactor({ member, record }) {
  const [asking, setAsking] = useState(false);
  const mayReset = may("factors.reset") && !isOwn(member) && (member.role !== "OWNER" || session.value.user.role === "OWNER");
  return html`<section class="panel" aria-labelledby="sm-f"><header><h2 id="sm-f">Second factor</h2><span class="push"><${Factor} on=${member.twoFactorEnabled} /></span></header><div class="panel-body stack">
    <p class="hint">${isOwn(member) ? html`Your own is turned on and off in <a href="/admin/account">your account</a>.` : member.twoFactorEnabled ? "A code of their authenticator is asked for at each sign-in." : "They sign in by password alone. They turn it on in their own account."}</p>
    ${member.twoFactorEnabled && mayReset && html`<div class="row"><button class="btn" type="button" onClick=${() => setAsking(true)}>Take it off…</button></div>`}
    ${member.twoFactorEnabled && !isOwn(member) && !mayReset && html`<p class="hint">${may("factors.reset") ? "Only an owner takes it off an owner." : "Owners and admins take it off."}</p>`}</div>
    ${asking && html`<${Typed} title=${`Take the second factor off ${member.name}?`} name=${member.email} keep="Keep it" go="Take it off" onClose=${() => setAsking(false)} act=${async () => { await remove(`${pathOf(member)}/two-factor`); await record.load(); toast("Taken off. They sign in by password alone, and a mail tells them."); }}>Only for who has lost both the device and the backup codes, and whom you know to be themselves. They are signed out everywhere and told by mail.<//>`}</section>`;
}

function Member({ id }) {
  const record = useRecord(`/api/v1/admin/staff/${encodeURIComponent(id)}`, { topic: "staff", concerns: (frame) => frame.data?.id === id || frame.data?.accountId === id });
  const member = record.data;
  if (!member) return record.fault ? html`<${Missing} fault=${record.fault} what="member" back="/admin/staff" word="Staff" />` : html`<h1 class="vh" tabindex="-1">Member</h1><${Bones} label="the member" />`;
  return html`<${ConnectionBanner} />
    <${Crumbs} to="/admin/staff" word="Staff"><${Said} text=${member.name} fold=${60} /><//>
    <header class="page-head"><div><h1 tabindex="-1"><${Said} text=${member.name} fold=${120} /></h1><p class="row"><${AccountState} status=${member.status} /><${Said} text=${member.email} fold=${100} /> <${AsOf} /></p></div></header>
    <div class="cols cols-2"><${RolePanel} member=${member} record=${record} /><div class="stack"><${Standing} member=${member} record=${record} /><${SecondFactor} member=${member} record=${record} /></div></div>`;
}

export const StaffMember = ({ id }) => (may("staff.read") ? html`<${Member} id=${id} />` : html`<${Barred} what="the staff" />`);
