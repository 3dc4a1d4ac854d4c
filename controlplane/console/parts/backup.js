// How a backup went: a shape, a word, a time.
import { html } from "../html.js";
import { when } from "../time.js";
import { Icon } from "./icon.js";

const STATES = { success: ["check", "ok", "Finished"], failed: ["class-red", "bad", "Failed"], running: ["refresh", "soft", "Running"] };

export function BackupState({ status }) {
  const [icon, look, word] = STATES[status] ?? ["ring", "soft", status];
  return html`<span class=${`state ${look}`}><${Icon} name=${icon} />${word}</span>`;
}

/** When it was: its end, else its beginning, else when it was told. */
export const momentOf = (backup) => backup.finishedAt ?? backup.startedAt ?? backup.reportedAt;
export const whenOf = (backup) => when(momentOf(backup), "today, ");
