// The delivery track: a promise as a line. The first stop has the time, later ones the difference.
import { html } from "../html.js";
import { clockSeconds, later, now, span } from "../time.js";

/** `stops`: `[{word, at, look}]`, look: done, now, good, fail or wait. */
export function Track({ label, stops }) {
  const first = stops[0]?.at;
  return html`<div class="track"><ol aria-label=${label}>${stops.map((stop, index) => html`
    <li key=${stop.word} class=${stop.look === "wait" ? "" : stop.look}>${stop.word} ${
      stop.at ? html`<time datetime=${stop.at}>${index ? later(first, stop.at) : clockSeconds(Date.parse(stop.at))}</time>`
      : stop.look === "now" && stop.from ? html`<time>${span(now.value - Date.parse(stop.from))}</time>` : ""}</li>`)}</ol></div>`;
}

/** For so long the Hub keeps when a decision was acknowledged. */
const KEPT_MS = 30 * 86_400_000;

/** What became of a decision. */
export function decisionStops(approval) {
  const word = { APPROVED: "Approved", DENIED: "Denied", EXPIRED: "Expired" }[approval.status];
  const stops = [{ word, at: approval.settledAt, look: "done" }];
  const { sentAt, acknowledgedAt } = approval;
  if (sentAt && sentAt !== acknowledgedAt) stops.push({ word: "Sent", at: sentAt, look: "done" });
  if (acknowledgedAt) stops.push({ word: "Acknowledged", at: acknowledgedAt, look: approval.status === "APPROVED" ? "done" : "good" });
  const ends = { executed: ["Executed", "good"], failed: ["Failed", "fail"], abandoned: ["Not run", "fail"] };
  if (approval.outcome) {
    const [end, look] = ends[approval.outcome] ?? [approval.outcome, "done"];
    stops.push({ word: end, at: approval.outcomeAt, look });
  } else if (!acknowledgedAt && now.value - Date.parse(approval.settledAt) > KEPT_MS) return stops; // nobody knows any more
  else if (!acknowledgedAt) stops.push({ word: "Waiting for the server", look: "now", from: approval.settledAt });
  else if (approval.status === "APPROVED") stops.push({ word: "Running", look: "now", from: acknowledgedAt });
  return stops;
}

const ENDS = {
  SUCCEEDED: ["Done", "good"], FAILED: ["Failed", "fail"], REJECTED: ["Rejected", "fail"], TIMED_OUT: ["Timed out", "fail"],
  EXPIRED: ["Expired", "fail"], CANCELLED: ["Withdrawn", "fail"],
};

/** Queued, Sent, Acknowledged, Done. */
export function commandStops(command) {
  const stops = [{ word: "Queued", at: command.issuedAt, look: "done" }];
  const end = ENDS[command.status];
  const steps = [["Sent", command.sentAt], ["Acknowledged", command.acknowledgedAt]];
  if (command.startedAt) steps.push(["Started", command.startedAt]);
  let open = !end;
  for (const [word, at] of steps) {
    if (at) stops.push({ word, at, look: "done" });
    else if (!end) { stops.push({ word, look: open ? "now" : "wait", from: stops[stops.length - 1].at }); open = false; }
  }
  if (end) stops.push({ word: end[0], at: command.finishedAt, look: end[1] });
  else stops.push({ word: open ? "Running" : "Done", look: open ? "now" : "wait", from: command.startedAt ?? command.acknowledgedAt });
  return stops;
}
