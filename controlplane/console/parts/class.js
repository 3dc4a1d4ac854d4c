// A command's class: shape, word, colour, and what it means.
import { html } from "../html.js";
import { Icon } from "./icon.js";

export const CLASSES = {
  green: { look: "green", word: "Green", means: "Only reads" },
  yellow: { look: "yellow", word: "Yellow", means: "Changes something" },
  yellow_external: { look: "yellow", word: "Yellow", means: "Leaves your server" },
  red: { look: "red", word: "Red", means: "Cannot be undone" },
  critical_red: { look: "critical", word: "Critical", means: "Destroys live data, or the way back" },
};
export const classOf = (name) => CLASSES[name] ?? CLASSES.red;
export const RANK = ["green", "yellow", "yellow_external", "red", "critical_red"];

export function ClassTag({ name }) {
  const { look, word } = classOf(name);
  return html`<span class=${`class class-${look}`}><${Icon} name=${`class-${look}`} />${word}</span>`;
}
