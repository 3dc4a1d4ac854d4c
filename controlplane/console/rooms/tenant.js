import { html } from "../html.js";
export const Tenant = () => html`<h1 tabindex="-1">Tenant</h1>`;
