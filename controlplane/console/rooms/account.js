// One's own account, of staff and customers: who one is, password, second factor, sessions.
import { patch } from "../api.js";
import { html } from "../html.js";
import { ConnectionBanner } from "../parts/banner.js";
import { Entry, SaveBar, Wrong, useSaving } from "../parts/form.js";
import { AsOf, Bones } from "../parts/list.js";
import { FACTOR_STATUS, OwnFactor } from "../parts/own_factor.js";
import { OwnPassword } from "../parts/own_password.js";
import { OwnPhoto } from "../parts/own_photo.js";
import { OwnSessions, SESSIONS } from "../parts/own_sessions.js";
import { Said } from "../parts/text.js";
import { useDraft, useRecord } from "../records.js";
import { isStaff, may, session } from "../session.js";
import { useEffect, useRef } from "../vendor/hooks.mjs";

const PROFILE = "/api/v1/profile";
const FIELDS = ["name", "email"];

/** The frame around the page says who is signed in: what the profile says counts there at once. */
function useToldToFrame(profile) {
  useEffect(() => {
    if (!profile) return;
    const { name, email, image } = profile;
    session.value = { ...session.peek(), user: { ...session.peek().user, name, email, image } };
  }, [profile]);
}

/** Name, address and photo of a member of staff. */
function StaffDetails({ topic, mine }) {
  const record = useRecord(PROFILE, { topic, concerns: mine(/^staff\.changed$/) });
  const profile = record.data;
  const draft = useDraft("own profile", profile);
  const save = async (changed) => record.take(await patch(PROFILE, changed, record.version));
  const saving = useSaving({ draft, save, reload: record.load, done: "email" in draft.changed ? "Saved. Sign in with the new address from now on." : "Saved." });
  useToldToFrame(profile);
  useLookedAtAgain(record.load, topic);
  if (!profile) return record.fault ? html`<${Wrong}>${record.fault.message} <button class="as-link" type="button" onClick=${record.load}>Try again</button><//>` : html`<${Bones} label="your profile" />`;
  const entry = { draft, fault: saving.fault };
  return html`<${OwnPhoto} profile=${profile} onChanged=${record.take} />
    <form class="stack" onSubmit=${saving.submit} noValidate>
      <${Entry} ...${entry} name="name" label="Name" autocomplete="name" hint="Customers read it beside what you decide." />
      <${Entry} ...${entry} name="email" label="Email" kind="email" autocomplete="email" hint="You sign in with it. When it changes, the former address is told by mail." />
      <${SaveBar} draft=${draft} saving=${saving} fields=${FIELDS} /></form>`;
}

function CustomerDetails() {
  const { name, email } = session.value.user;
  return html`<dl class="facts"><dt>Name</dt><dd><${Said} text=${name} fold=${100} /></dd><dt>Email</dt><dd><${Said} text=${email} fold=${100} /></dd></dl>
    <p class="hint">LetsBe changes these for you. Which mail you get is chosen in <a href="/customer/settings">Settings</a>.</p>`;
}

/** A role that hears of no staff hears of no change made elsewhere: it is read when one looks at the page again. */
function useLookedAtAgain(load, topic) {
  useEffect(() => {
    if (topic) return undefined;
    addEventListener("focus", load);
    return () => removeEventListener("focus", load);
  }, [topic]);
}

export function Account() {
  const { id, role, email } = session.value.user;
  // Customers have a topic for what happens to their account; of staff it is told to who may see the staff.
  const topic = !isStaff() ? "account" : may("staff.read") ? "staff" : null;
  // Turning the factor on gives this session a new token with its answer: what was read meanwhile would be refused.
  const held = useRef(false);
  const heldBack = async (act) => {
    held.current = true;
    try { return await act(); } finally { held.current = false; }
  };
  const mine = (kinds) => (frame) => !held.current && kinds.test(frame.kind) && [frame.data?.accountId, frame.data?.id].includes(id);
  const sessions = useRecord(SESSIONS, { topic, concerns: mine(/\.signed(In|Out)$/) });
  const factor = useRecord(FACTOR_STATUS, { topic, concerns: mine(/\.(twoFactor|backupCode)/) });
  useLookedAtAgain(sessions.load, topic);
  useLookedAtAgain(factor.load, topic);
  return html`<${ConnectionBanner} />
    <header class="page-head"><div><h1 tabindex="-1">Your account</h1><p><bdi>${email}</bdi>${isStaff() ? `, ${role.toLowerCase()}` : ""} <${AsOf} /></p></div></header>
    <div class="cols cols-2"><div class="stack">
      <section class="panel" aria-labelledby="ac-me"><header><h2 id="ac-me">Who you are</h2></header><div class="panel-body stack">${isStaff() ? html`<${StaffDetails} topic=${topic} mine=${mine} />` : html`<${CustomerDetails} />`}</div></section>
      <${OwnPassword} onChanged=${sessions.load} /></div>
      <div class="stack"><${OwnFactor} record=${factor} heldBack=${heldBack} onSessions=${sessions.load} /><${OwnSessions} record=${sessions} /></div></div>`;
}
