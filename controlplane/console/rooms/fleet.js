import { html } from "../html.js";
export const Fleet = () => html`<h1 tabindex="-1">Fleet</h1>`;
