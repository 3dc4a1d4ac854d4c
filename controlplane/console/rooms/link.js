// Where mailed links lead: choosing a password, joining the staff; and asking for such a link.
import { get, post } from "../api.js";
import { html } from "../html.js";
import { Field, Gate } from "../parts/gate.js";
import { Icon } from "../parts/icon.js";
import { PasswordRules, fits } from "../parts/password.js";
import { useSending } from "../parts/sending.js";
import { go, parts, query } from "../router.js";
import { useEffect, useState } from "../vendor/hooks.mjs";

/** The token stands behind the #, which no server and no log sees; it is taken out of the address bar at once. */
function useToken() {
  const [token] = useState(() => decodeURIComponent(location.hash.slice(1)));
  useEffect(() => { if (location.hash) history.replaceState(history.state, "", location.pathname + location.search); }, []);
  return token;
}

const Frame = ({ title, children, words }) => html`<${Gate} foot=${html`<a href="/sign-in">Sign in</a>`}><section class="gate-form" aria-labelledby="li-h"><div><h1 id="li-h" tabindex="-1">${title}</h1><p>${words}</p></div>${children}</section><//>`;
const Refusal = ({ fault }) => fault && html`<p class="error" role="alert"><${Icon} name="class-red" />${fault.message}</p>`;

/** Asking for a link. */
function Forgot() {
  const staff = query().get("as") === "staff";
  const [asked, setAsked] = useState(null);
  const { busy, fault, submit } = useSending(async (event) => {
    const email = event.currentTarget.elements.email.value.trim();
    await post("/api/v1/auth/password/forgot", { email, userType: staff ? "staff" : "customer" });
    setAsked(email);
  });
  if (asked) return html`<${Frame} title="Look into your mail" words=${html`If <bdi>${asked}</bdi> has an account here, a mail with a link is on its way. The link works once, for a short time.`}><p class="hint">Nothing came? Look where unwanted mail goes, then ask again in a few minutes.</p><//>`;
  return html`<${Frame} title="Forgot your password?" words="A mail brings you a link by which you choose a new one."><form onSubmit=${submit} method="post">
    <${Refusal} fault=${fault && !fault.field("email") ? fault : null} />
    <${Field} id="email" label="Email" type="email" autocomplete="username" required=${true} autofocus=${true} error=${fault?.field("email")} />
    <button class="btn btn-l btn-main" type="submit" aria-busy=${busy}>${busy ? "Sending" : "Send the link"}</button></form><//>`;
}

const ROOMS = {
  "reset-password": { title: "Choose a new password", words: "Whoever is signed in with the old one is signed out everywhere.", button: "Set the password" },
  "set-password": { title: "Choose your password", words: "With it you sign in, see your agents and decide what they may do.", button: "Set the password" },
  "accept-invite": { title: "Join the staff", words: "Your name stands beside what you decide.", button: "Join" },
};

function Choose({ room }) {
  const token = useToken();
  const joins = room === "accept-invite";
  const [invitation, setInvitation] = useState(null);
  const [first, setFirst] = useState(""), [second, setSecond] = useState("");
  const [done, setDone] = useState(false);
  const { busy, fault, setFault, submit } = useSending(async (event) => {
    const name = event.currentTarget.elements.name?.value.trim();
    if (!fits(first, second)) throw { message: "The password is too short, or the two differ." };
    if (joins) await post("/api/v1/auth/accept-invite", { token, name, password: first });
    else await post("/api/v1/auth/password/reset", { token, password: first });
    setDone(true);
  });
  useEffect(() => { if (joins && token) get(`/api/v1/auth/invite/${encodeURIComponent(token)}`).then(({ data }) => setInvitation(data), setFault); }, []);
  const { title, words, button } = ROOMS[room];
  const over = !token || fault?.status === 404;
  if (over) return html`<${Frame} title="This link does not work any more" words="It works once and for a short time, or it was cut on its way."><div class="row">${joins ? html`<p class="hint">Ask whoever invited you to send it again.</p>` : html`<a class="btn btn-main" href="/forgot-password">Ask for a new one</a>`}</div><//>`;
  if (done) return html`<${Frame} title=${joins ? "Welcome" : "The password is set"} words="Sign in with it now."><button class="btn btn-l btn-main" type="button" autofocus onClick=${() => go(joins ? "/sign-in?as=staff" : "/sign-in")}>Sign in</button><//>`;
  const wrong = (name) => fault?.field?.(name);
  return html`<${Frame} title=${title} words=${invitation ? html`<bdi>${invitation.invitedBy}</bdi> invites <bdi>${invitation.email}</bdi> as ${invitation.role.toLowerCase()}. ${words}` : words}><form onSubmit=${submit} method="post">
    <${Refusal} fault=${fault && !["name", "password"].some(wrong) ? fault : null} />
    ${joins && html`<${Field} id="name" label="Your name" autocomplete="name" required=${true} autofocus=${true} error=${wrong("name")} />`}
    <${Field} id="password" label="Password" type="password" autocomplete="new-password" required=${true} autofocus=${!joins} error=${wrong("password")} value=${first} onInput=${(event) => setFirst(event.currentTarget.value)} />
    <${Field} id="again" label="Password again" type="password" autocomplete="new-password" required=${true} value=${second} onInput=${(event) => setSecond(event.currentTarget.value)} />
    <${PasswordRules} first=${first} second=${second} />
    <button class="btn btn-l btn-main" type="submit" aria-busy=${busy}>${busy ? "Saving" : button}</button></form><//>`;
}

/** The room of the address we are at. */
export const LINKS = ["forgot-password", ...Object.keys(ROOMS)];
export const Link = () => (parts()[0] === "forgot-password" ? html`<${Forgot} />` : html`<${Choose} room=${parts()[0]} key=${parts()[0]} />`);
