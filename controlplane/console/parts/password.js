// What a new password needs, ticked off while it is typed; the Hub checks it anyway.
import { html } from "../html.js";
import { Icon } from "./icon.js";

const SHORTEST = 10;
const Rule = ({ kept, children }) => html`<li class=${kept ? "ok" : ""}><${Icon} name=${kept ? "check" : "ring"} />${children}<span class="vh">${kept ? ", done" : ", not yet"}</span></li>`;

export const fits = (first, second) => first.length >= SHORTEST && first === second;

export const PasswordRules = ({ first, second }) => html`<ul class="rules" aria-label="What the password needs"><${Rule} kept=${first.length >= SHORTEST}>${SHORTEST} characters or more<//><${Rule} kept=${first !== "" && first === second}>Same in both fields<//></ul>`;
