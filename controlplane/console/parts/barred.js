// What stands where a role may not look.
import { html } from "../html.js";
import { home } from "../session.js";

export const Barred = ({ what }) => html`<section class="empty"><h1 tabindex="-1">Your role may not see ${what}</h1><p>An owner may give you another role; this page then opens by itself.</p><a class="btn" href=${home()}>Go to the start</a></section>`;
