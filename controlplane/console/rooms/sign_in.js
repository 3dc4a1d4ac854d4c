// Signing in: customers and staff at one door, each by their own handle.
import { html } from "../html.js";
import { Field, Gate } from "../parts/gate.js";
import { Icon } from "../parts/icon.js";
import { go, query } from "../router.js";
import { ended, home, signIn, signInWithCode } from "../session.js";
import { useEffect, useState } from "../vendor/hooks.mjs";

/** Where to go afterwards: only paths of this console. */
export function after(side) {
  const wanted = query().get("to") ?? "";
  return wanted.startsWith(`/${side}/`) || wanted === `/${side}` ? wanted : home();
}

/** By whether it is a backup code. */
const CODES = {
  false: { label: "Code", cls: "code-input", inputmode: "numeric", autocomplete: "one-time-code", hint: "Six digits of your authenticator app. Each works once; this step is open for 5 minutes." },
  true: { label: "Backup code", cls: "mono", autocomplete: "off", hint: "Four groups of four. Each works once." },
};

export function SignIn() {
  const staff = query().get("as") === "staff" || (query().get("to") ?? "").startsWith("/admin");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const [pending, setPending] = useState(null); // the password was right, a code is asked for
  const [spare, setSpare] = useState(false); // a backup code, for want of the app

  useEffect(() => { if (pending) document.getElementById("code")?.focus(); }, [pending]);

  async function submit(event) {
    event.preventDefault();
    if (busy) return;
    const form = event.currentTarget;
    setBusy(true);
    setError(null);
    try {
      const field = pending ? form.elements.code : form.elements.password;
      const { wrong, over, pending: token } = pending ? await signInWithCode(pending, field.value.trim()) : await signIn(staff ? "credentials" : "customer", form.elements.email.value.trim(), field.value);
      if (over) { setPending(null); setSpare(false); }
      if (wrong) { setError(wrong); field.focus(); field.select(); } else if (token) { setPending(token); setSpare(false); } else go(after(staff ? "admin" : "customer"), { replace: true });
    } catch (fault) {
      setError(`${fault.message} Nothing was sent twice; try again.`);
    } finally {
      setBusy(false);
    }
  }

  const to = query().get("to");
  const other = staff ? "/sign-in" : "/sign-in?as=staff"; // the address to come back to belongs to this door
  return html`<${Gate} foot=${html`<a href=${other}>${staff ? "For customers" : "For LetsBe staff"}</a>`}>
    <section class="gate-form" aria-labelledby="si-h">
      <div><h1 id="si-h" tabindex="-1">${pending ? "Enter your code" : "Sign in"}</h1><p>${pending ? "The password was right. One step is left." : staff ? "For LetsBe staff." : to ? "To see what your agents ask." : "To see your agents and decide what they may do."}</p></div>
      ${ended.value && html`<div class="banner" role="status"><${Icon} name="info" /><div><strong>Your session has ended</strong><p>You signed out elsewhere, or its time was over. Sign in, and you are back where you were.</p></div></div>`}
      ${pending ? html`<form onSubmit=${submit} method="post" key="code">
        <${Field} key=${spare} id="code" ...${CODES[spare]} autocapitalize="none" spellcheck=${false} required=${true} autofocus=${true} error=${error} />
        <button class="btn btn-l btn-main" type="submit" aria-busy=${busy}>${busy ? "Checking" : "Sign in"}</button>
        <div class="row between"><button class="as-link small" type="button" onClick=${() => { setSpare(!spare); setError(null); }}>${spare ? "Use a code of the app" : "Use a backup code"}</button><button class="as-link small" type="button" onClick=${() => { setPending(null); setError(null); }}>Another account</button></div>
      </form>` : html`<form onSubmit=${submit} method="post" key=${staff}>
        <${Field} id="email" label="Email" type="email" autocomplete="username" required=${true} autofocus=${true} />
        <${Field} id="password" label="Password" type="password" autocomplete="current-password" required=${true} error=${error} />
        <button class="btn btn-l btn-main" type="submit" aria-busy=${busy}>${busy ? "Signing in" : "Sign in"}</button>
        <a class="small" href=${staff ? "/forgot-password?as=staff" : "/forgot-password"}>Forgot your password?</a>
      </form>`}
    </section>
  <//>`;
}
