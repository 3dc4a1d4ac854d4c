// Templates: htm bound to Preact. What is put into a template is always text, never markup.
import htm from "./vendor/htm.mjs";
import { h } from "./vendor/preact.mjs";

export const html = htm.bind(h);
