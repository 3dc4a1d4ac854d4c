// What a screen reader is told, politely.
import { signal } from "../vendor/signals.mjs";

export const spoken = signal("");
export function announce(text) {
  spoken.value = "";
  setTimeout(() => { spoken.value = text; }, 50);
}
