// How far an agent may go by itself: three squares and a word.
import { html } from "../html.js";

export const LEVELS = { 1: "Everything but green asks", 2: "Yellow runs, red asks", 3: "Yellow runs, outside messages run where unlocked" };
export const Level = ({ level }) => html`<span class="level" title=${LEVELS[level]}><svg viewBox="0 0 28 10" aria-hidden="true">${[0, 1, 2].map((one) => html`<rect class=${one < level ? "on" : "off"} x=${0.5 + 9 * one} y="1.5" width="7" height="7" rx="1" />`)}</svg>Level ${level}</span>`;
