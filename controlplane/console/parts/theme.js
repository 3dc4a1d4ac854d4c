// The theme: as the system has it, light, or dark.
import { html } from "../html.js";
import { signal } from "../vendor/signals.mjs";
import { announce } from "./announce.js";
import { Icon } from "./icon.js";

const WORDS = { system: "Theme: follow the system", light: "Theme: light", dark: "Theme: dark" };
export const theme = signal(document.documentElement.dataset.theme ?? "system");

export function nextTheme() {
  const order = ["system", "light", "dark"];
  theme.value = order[(order.indexOf(theme.value) + 1) % 3];
  if (theme.value === "system") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem("theme");
  } else {
    document.documentElement.dataset.theme = theme.value;
    localStorage.setItem("theme", theme.value);
  }
  announce(WORDS[theme.value]);
}

export const ThemeButton = ({ cls = "" }) => html`<button class=${`btn btn-bare btn-icon ${cls}`} type="button" aria-label=${WORDS[theme.value]} title=${WORDS[theme.value]} onClick=${nextTheme}><${Icon} name="theme" /></button>`;
