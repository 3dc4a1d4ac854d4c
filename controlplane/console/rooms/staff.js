// The staff: who belongs to it, who is invited, and what each role may do.
import { post, remove } from "../api.js";
import { html } from "../html.js";
import { Barred } from "../parts/barred.js";
import { ConnectionBanner } from "../parts/banner.js";
import { Dialog } from "../parts/dialog.js";
import { Act, Entry, SaveBar, useSaving } from "../parts/form.js";
import { Icon } from "../parts/icon.js";
import { AsOf, Choice, Empty, Listed, PAGE, Table, useFilters } from "../parts/list.js";
import { PermissionTable, ROLES, ROLE_MEANS, roleWord } from "../parts/permissions.js";
import { Said } from "../parts/text.js";
import { toast } from "../parts/toast.js";
import { Typed } from "../parts/typed.js";
import { AccountState } from "../parts/words.js";
import { listen, useDraft, useList } from "../records.js";
import { may, session } from "../session.js";
import { now, when } from "../time.js";
import { useEffect, useState } from "../vendor/hooks.mjs";

const STAFF = "/api/v1/admin/staff";
const STATES = [["ACTIVE", "Active"], ["SUSPENDED", "Suspended"], ["DEACTIVATED", "Deactivated"]];
export const Factor = ({ on }) => (on ? html`<span class="state ok"><${Icon} name="shield" />On</span>` : html`<span class="state warn"><${Icon} name="class-yellow" />Off</span>`);

function Invite({ onClose, onDone }) {
  const draft = useDraft("staff invite", { email: "", role: "SUPPORT" });
  const saving = useSaving({
    draft, done: "The invitation is on its way by mail.",
    save: async () => {
      await post(`${STAFF}/invite`, { email: draft.value("email").trim(), role: draft.value("role") });
      onClose();
      onDone();
    },
  });
  const entry = { draft, fault: saving.fault };
  return html`<${Dialog} label="Invite to the staff" onClose=${onClose}><form onSubmit=${saving.submit} noValidate><h2>Invite to the staff</h2>
    <${Entry} ...${entry} name="email" label="Email" kind="email" autocomplete="off" autofocus required hint="A mail goes there with a link that works once." />
    <${Entry} ...${entry} name="role" label="Role" kind="select" options=${ROLES} hint=${ROLE_MEANS[draft.value("role")]} />
    <${SaveBar} draft=${draft} saving=${saving} word="Send the invitation" fields=${["email", "role"]} /></form><//>`;
}

/** How long an invitation is good for; it runs out while one looks. */
function Until({ invitation, ended }) {
  if (ended) return html`<span class=${`state ${ended === "Accepted" ? "ok" : "soft"}`}><${Icon} name=${ended === "Accepted" ? "check" : "x"} />${ended}</span>`;
  const over = Date.parse(invitation.expiresAt) <= now.value;
  return html`<span class=${`state ${over ? "warn" : "soft"}`}><${Icon} name="clock" />${over ? "Expired" : "Good until"} ${when(invitation.expiresAt, "")}</span>`;
}

function Invitations({ list, ended, page, onPage, onInvite }) {
  const [leaving, setLeaving] = useState(null);
  const manages = may("staff.manage");
  return html`<section class="section" aria-labelledby="st-i"><header><h2 id="st-i">Open invitations</h2><span class="muted">${list.rows ? list.total : ""}</span></header>
    <${Listed} list=${list} page=${page} onPage=${onPage} label="invitations" none=${html`<p class="hint none">Nobody is invited. ${manages ? html`<button class="as-link" type="button" onClick=${onInvite}>Invite somebody</button> by mail.` : "An owner may invite somebody by mail."}</p>`}>
      <ul class="rows">${(list.rows ?? []).map((one) => html`<li class="item" key=${one.id}><${Icon} name="mail" /><div><b><${Said} text=${one.email} fold=${80} /></b><p><span>as ${roleWord(one.role).toLowerCase()}, by <${Said} text=${one.invitedBy} fold=${60} />, sent ${when(one.sentAt, "today ")}</span></p><p class="small"><${Until} invitation=${one} ended=${ended[one.id]} /></p></div>
        ${manages && !ended[one.id] && html`<div class="row item-acts"><${Act} cls="btn-s" busyWord="Sending" act=${async () => { list.put((await post(`${STAFF}/invitations/${one.id}/resend`)).data); toast("Sent again. The link of the mail before is void."); }}>Send again<span class="vh"> to ${one.email}</span><//>
          <button class="btn btn-s" type="button" onClick=${() => setLeaving(one)}>Withdraw…<span class="vh"> the invitation of ${one.email}</span></button></div>`}</li>`)}</ul><//>
    ${leaving && html`<${Typed} title="Withdraw this invitation?" name=${leaving.email} keep="Keep it" go="Withdraw" onClose=${() => setLeaving(null)} act=${async () => { await remove(`${STAFF}/invitations/${leaving.id}`); toast("Withdrawn. The link in the mail does not work any more."); }}>The link that was mailed stops working at once. They can be invited anew.<//>`}</section>`;
}

/** Which invitations came to their end while one looks: they stay where they are until the list is read anew. */
function useEnded() {
  const [ended, setEnded] = useState({});
  useEffect(() => listen("staff", {
    load: () => Promise.resolve(),
    apply: ({ kind, data }) => {
      const word = { "staff.invitationAccepted": "Accepted", "staff.invitationRevoked": "Withdrawn" }[kind];
      if (word) setEnded((before) => ({ ...before, [data.id]: word }));
    },
  }), []);
  return ended;
}

/** What is told of accounts without a whole row: signing in, and the second factor. */
function useTold(list) {
  const [told, setTold] = useState({});
  useEffect(() => listen("staff", {
    load: () => { setTold({}); return Promise.resolve(); },
    apply: ({ kind, data, at }) => {
      const change = { "staff.signedIn": { lastSignInAt: at }, "staff.twoFactorEnabled": { twoFactorEnabled: true }, "staff.twoFactorDisabled": { twoFactorEnabled: false } }[kind];
      if (change) setTold((before) => ({ ...before, [data.accountId]: { ...before[data.accountId], ...change } }));
    },
  }), []);
  useEffect(() => setTold({}), [list.asked]);
  return (list.rows ?? []).map((one) => ({ ...one, ...told[one.id] }));
}

function Roster() {
  const [{ status, page, invited }, set] = useFilters(["status", "page", "invited"]);
  const [inviting, setInviting] = useState(false);
  const number = Math.max(1, Number(page) || 1), invitedPage = Math.max(1, Number(invited) || 1);
  const list = useList(STAFF, { page: number, pageSize: PAGE, ...(status ? { status } : {}) }, { topic: "staff", kinds: /^staff\.(created|changed|deactivated)$/ });
  const invitations = useList(`${STAFF}/invitations`, { page: invitedPage, pageSize: PAGE }, { topic: "staff", kinds: /^staff\.invit(ed|ationResent)$/ });
  const ended = useEnded(), members = useTold(list);
  const own = session.value.user.id;
  const invite = () => setInviting(true);
  return html`<${ConnectionBanner} />
    <header class="page-head"><div><h1 tabindex="-1">Staff</h1><p><${AsOf} /></p></div><div class="row">${may("staff.manage") && html`<button class="btn btn-main" type="button" onClick=${invite}><${Icon} name="plus" />Invite…</button>`}</div></header>
    <div class="row"><${Choice} label="State" value=${status} options=${STATES} onChoose=${(one) => set({ status: one })} /></div>
    <${Listed} list=${list} page=${number} onPage=${(next) => set({ page: String(next) })} label="the staff" filtered=${Boolean(status)}
      none=${html`<${Empty} icon="user" title="Nobody yet">Invite somebody by mail.<//>`}
      nothing=${html`<${Empty} icon="search" title="Nobody is in this state" action=${html`<button class="btn" type="button" onClick=${() => set({ status: "" })}>Show all</button>`}>Choose another state.<//>`}>
      <${Table} caption="Staff" head=${["Member", "Email", "Role", "State", "Second factor", "Last sign-in"]} rows=${members.map((one) => ({ key: one.id, cells: [
        html`<a class="name walk" href=${`/admin/staff/${one.id}`}><${Said} text=${one.name} fold=${80} /></a>${one.id === own && html` <span class="tag">you</span>`}`,
        html`<${Said} text=${one.email} fold=${80} />`, roleWord(one.role), html`<${AccountState} status=${one.status} />`, html`<${Factor} on=${one.twoFactorEnabled} />`, one.lastSignInAt ? when(one.lastSignInAt, "today, ") : "never",
      ] }))} /><//>
    <${Invitations} list=${invitations} ended=${ended} page=${invitedPage} onPage=${(next) => set({ invited: String(next), page })} onInvite=${invite} />
    <section class="section" aria-labelledby="st-p"><header><h2 id="st-p">What each role may do</h2></header><${PermissionTable} /></section>
    ${inviting && html`<${Invite} onClose=${() => setInviting(false)} onDone=${() => invitations.load()} />`}`;
}

export const Staff = () => (may("staff.read") ? html`<${Roster} />` : html`<${Barred} what="the staff" />`);
