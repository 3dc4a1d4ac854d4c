// Changing one's own password.
import { post } from "../api.js";
import { html } from "../html.js";
import { session } from "../session.js";
import { connected } from "../socket.js";
import { useState } from "../vendor/hooks.mjs";
import { Wrong } from "./form.js";
import { Field } from "./gate.js";
import { PasswordRules, fits } from "./password.js";
import { useSending } from "./sending.js";
import { toast } from "./toast.js";

const BLANK = { current: "", first: "", second: "" };

/** `onChanged`: it was changed, and one's other sessions have ended. */
export function OwnPassword({ onChanged }) {
  const [typed, setTyped] = useState(BLANK);
  const { current, first, second } = typed;
  const why = !connected() ? "You are offline, so nothing can be changed." : !current ? "Type your password as it is first." : fits(first, second) ? null : "The new password is not complete yet.";
  const control = (name, autocomplete) => ({ type: "password", autocomplete, required: true, maxlength: 512, value: typed[name], onInput: (event) => setTyped({ ...typed, [name]: event.currentTarget.value }) });
  async function change() {
    const { data } = await post("/api/v1/auth/password", { currentPassword: current, newPassword: first });
    setTyped(BLANK);
    toast(data.sessionsEnded ? `Your password is changed. ${data.sessionsEnded} other ${data.sessionsEnded === 1 ? "session" : "sessions"} ended.` : "Your password is changed.");
    onChanged();
  }
  function onFault(refusal) {
    const wrong = refusal.field?.("currentPassword") ? "pw-now" : refusal.field?.("newPassword") ? "pw-new" : null;
    if (wrong) document.getElementById(wrong)?.select();
  }
  const { busy, fault, submit } = useSending(change, { why, onFault });
  const wrongNow = fault?.field?.("currentPassword"), wrongNew = fault?.field?.("newPassword");
  return html`<section class="panel" aria-labelledby="ac-pw"><header><h2 id="ac-pw">Password</h2></header><form class="panel-body stack" onSubmit=${submit} noValidate>
    <input type="email" hidden autocomplete="username" value=${session.value.user.email} readonly />
    <${Field} id="pw-now" label="Password as it is" ...${control("current", "current-password")} error=${wrongNow && `It ${wrongNow}.`} />
    <${Field} id="pw-new" label="New password" ...${control("first", "new-password")} error=${wrongNew && `It ${wrongNew}.`} />
    <${Field} id="pw-again" label="New password again" ...${control("second", "new-password")} />
    <${PasswordRules} first=${first} second=${second} />
    <p class="hint">None of those that are guessed first, such as “password12”. Your other sessions end, and a mail tells you of the change.</p>
    ${fault && !wrongNow && !wrongNew && html`<${Wrong}>${fault.message} Your password has not changed.<//>`}
    <div class="row"><button class="btn btn-main" type="submit" aria-busy=${busy} aria-disabled=${why ? "true" : null} title=${why}>${busy ? "Changing" : "Change the password"}</button></div></form></section>`;
}
