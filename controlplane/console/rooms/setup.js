// The first owner of a new Hub.
import { post } from "../api.js";
import { html } from "../html.js";
import { Field, Gate } from "../parts/gate.js";
import { Icon } from "../parts/icon.js";
import { PasswordRules } from "../parts/password.js";
import { useSending } from "../parts/sending.js";
import { go } from "../router.js";
import { signIn } from "../session.js";
import { useState } from "../vendor/hooks.mjs";

export function Setup() {
  const [first, setFirst] = useState("");
  const [second, setSecond] = useState("");
  const same = first !== "" && first === second;
  const { busy, fault, submit } = useSending(async (event) => {
    const { name, email, token } = event.currentTarget.elements;
    if (!same) throw { message: "The two passwords differ.", field: (one) => (one === "again" ? "Not the same as above." : undefined) };
    const body = { name: name.value.trim(), email: email.value.trim(), password: first };
    if (token.value.trim()) body.setupToken = token.value.trim();
    await post("/api/v1/setup", body);
    const { wrong } = await signIn("credentials", body.email, first);
    go(wrong ? "/sign-in?as=staff" : "/admin", { replace: true });
  });

  const wrong = (name) => fault?.field?.(name);
  const whole = fault && !["name", "email", "password", "setupToken", "again"].some(wrong) ? fault.message : null;
  return html`<${Gate} foot=${html`<a href="/sign-in?as=staff">Sign in</a>`}>
    <section class="gate-form" aria-labelledby="su-h">
      <div><h1 id="su-h" tabindex="-1">Create the owner account</h1><p>This Hub is new. The first account owns it, and this page closes for good once it exists.</p></div>
      <form onSubmit=${submit} method="post">
        ${whole && html`<p class="error" role="alert"><${Icon} name="class-red" />${whole}</p>`}
        <${Field} id="name" label="Your name" autocomplete="name" required=${true} autofocus=${true} error=${wrong("name")} />
        <${Field} id="email" label="Email" type="email" autocomplete="email" required=${true} error=${wrong("email")} />
        <${Field} id="password" label="Password" type="password" autocomplete="new-password" required=${true} error=${wrong("password")} value=${first} onInput=${(event) => setFirst(event.currentTarget.value)} />
        <${Field} id="again" label="Password again" type="password" autocomplete="new-password" required=${true} error=${wrong("again")} value=${second} onInput=${(event) => setSecond(event.currentTarget.value)} />
        <${PasswordRules} first=${first} second=${second} />
        <${Field} id="token" label="Setup token" autocomplete="off" spellcheck=${false} error=${wrong("setupToken")} hint="The Hub printed it when it started. Not needed on the Hub's own machine." />
        <button class="btn btn-l btn-main" type="submit" aria-busy=${busy}>${busy ? "Creating" : "Create owner account"}</button>
      </form>
    </section>
  <//>`;
}
