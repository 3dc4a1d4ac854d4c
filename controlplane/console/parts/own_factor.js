// One's own second factor: turning it on with an authenticator app, backup codes, turning it off.
import { post } from "../api.js";
import { html } from "../html.js";
import { useDraft } from "../records.js";
import { session } from "../session.js";
import { connected } from "../socket.js";
import { when } from "../time.js";
import { useEffect, useRef, useState } from "../vendor/hooks.mjs";
import { Dialog } from "./dialog.js";
import { Act, Wrong } from "./form.js";
import { Field } from "./gate.js";
import { Icon } from "./icon.js";
import { Bones } from "./list.js";
import { useSending } from "./sending.js";
import { toast } from "./toast.js";

const FACTOR = "/api/v1/auth/2fa";
export const FACTOR_STATUS = `${FACTOR}/status`;
const FEW = 3;
const NONE = { codes: null };

const copy = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
  } catch { toast("This browser does not let the page copy.", "warn"); }
};
/** What was wrong with a proof: with its field, or with anything else. */
const wrongOf = (fault, field, word) => fault && (fault.field?.(field) ? `The ${word} ${fault.field(field)}.` : `${fault.message} Nothing has changed.`);

/** The Hub's picture, drawn anew from its lines: nothing else of the document comes into the page. */
function QrCode({ svg }) {
  const drawn = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
  const lines = [...drawn.querySelectorAll("path")].map((one) => Object.fromEntries(["d", "fill", "stroke", "transform"].map((name) => [name, one.getAttribute(name)])));
  return html`<svg class="qr" role="img" aria-label="QR code for your authenticator app" viewBox=${drawn.getAttribute("viewBox")} shape-rendering="crispEdges">${lines.map((line) => html`<path ...${line} />`)}</svg>`;
}

/** The first half of turning it on: the app takes the secret and gives a code. */
function Enrolment({ enrolment, heldBack, onCodes, onLeave }) {
  const [code, setCode] = useState("");
  const digits = code.replace(/\s/g, "");
  const why = !connected() ? "You are offline, so nothing can be changed." : /^\d{6}$/.test(digits) ? null : "Type the six digits first.";
  const verify = async () => onCodes((await heldBack(() => post(`${FACTOR}/verify`, { code: digits }))).data.backupCodes);
  const { busy, fault, submit } = useSending(verify, { why, onFault: () => document.getElementById("en-code")?.select() });
  return html`<ol class="numbered">
      <li><div class="stack"><b>Scan this with an authenticator app</b><div class="qr-row"><${QrCode} svg=${enrolment.qrCode} />
        <div class="stack"><p class="hint">Or type this secret into the app, by time, six digits:</p><p class="mono secret" role="group" aria-label="The secret">${enrolment.secret.match(/.{1,4}/g).map((four) => html`<span key=${four}>${four}</span> `)}</p>
          <div class="row"><button class="btn" type="button" onClick=${() => copy(enrolment.secret)}><${Icon} name="copy" />Copy the secret</button><a class="small" href=${enrolment.otpauthUri}>Open an app on this device</a></div></div></div></div></li>
      <li><form class="stack" onSubmit=${submit} noValidate><b>Type the code it shows</b>
        <${Field} id="en-code" label="Code" inputmode="numeric" autocomplete="one-time-code" maxlength="7" value=${code} onInput=${(event) => setCode(event.currentTarget.value)} error=${wrongOf(fault, "code", "code")} hint="It changes every 30 seconds. Your other sessions end." />
        <div class="row"><button class="btn btn-main" type="submit" aria-busy=${busy} aria-disabled=${why ? "true" : null} title=${why}>${busy ? "Checking" : "Turn it on"}</button><button class="btn" type="button" onClick=${onLeave}>Not now</button></div></form></li></ol>`;
}

/** Backup codes, in the only moment they are known. */
function Codes({ codes, onKept }) {
  const [kept, setKept] = useState(false);
  const text = codes.join("\n");
  function save() {
    const told = `Backup codes of ${session.value.user.email} for ${location.host}\nEach works once.\n\n${text}\n`;
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(new Blob([told], { type: "text/plain" })), download: "letsbe-backup-codes.txt" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
  return html`<div class="stack"><div><h3>Keep these backup codes</h3><p class="soft">Each one signs you in once, when your app is not at hand. They are shown this once; any you had before are void.</p></div>
    <ul class="code backup-codes" aria-label="Backup codes">${codes.map((one) => html`<li key=${one}>${one}</li>`)}</ul>
    <div class="row"><button class="btn" type="button" onClick=${() => copy(text)}><${Icon} name="copy" />Copy</button><button class="btn" type="button" onClick=${save}><${Icon} name="download" />Download</button></div>
    <label class="check"><input type="checkbox" checked=${kept} onChange=${(event) => setKept(event.currentTarget.checked)} /><span>I have kept them</span></label>
    <div class="row"><button class="btn btn-main" type="button" aria-disabled=${kept ? null : "true"} title=${kept ? null : "Keep the codes first."} onClick=${() => kept && onKept()}>Done</button></div></div>`;
}

/** A deed that wants a code of the app, a backup code, or the password. `act(proof)`: throws a Fault where it was not done. */
function Proven({ title, go, bad = false, act, onClose, children }) {
  const [by, setBy] = useState("code"), [typed, setTyped] = useState("");
  const byCode = by === "code";
  const why = !connected() ? "You are offline, so nothing can be done." : typed.trim() ? null : byCode ? "Type a code first." : "Type your password first.";
  const prove = async () => { await act({ [by]: byCode ? typed.trim() : typed }); onClose(); };
  const { busy, fault, setFault, submit } = useSending(prove, { why, onFault: () => document.getElementById("proof")?.select() });
  const swap = () => { setBy(byCode ? "password" : "code"); setTyped(""); setFault(null); };
  const more = byCode ? { label: "Code", autocomplete: "one-time-code", maxlength: 40, hint: "Of your authenticator app, or one of your backup codes." } : { label: "Password", type: "password", autocomplete: "current-password", maxlength: 512 };
  return html`<${Dialog} label=${title} onClose=${onClose}><form onSubmit=${submit} noValidate><h2>${title}</h2><p>${children}</p>
    <${Field} key=${by} id="proof" ...${more} autocapitalize="none" spellcheck=${false} autofocus value=${typed} onInput=${(event) => setTyped(event.currentTarget.value)} error=${wrongOf(fault, by, by)} />
    <div><button class="as-link" type="button" onClick=${swap}>${byCode ? "Use my password instead" : "Use a code instead"}</button></div>
    <div class="actions"><button class="btn" type="button" onClick=${onClose}>Leave it</button><button class=${`btn ${bad ? "btn-bad" : "btn-main"}`} type="submit" aria-busy=${busy} aria-disabled=${why ? "true" : null} title=${why}>${go}</button></div></form><//>`;
}

/** It is on. `onCodes(codes)`: there are new ones; `onOff`: it was turned off. */
function On({ status, onCodes, onOff }) {
  const [asking, setAsking] = useState(null);
  const left = status.backupCodesLeft, close = () => setAsking(null);
  const renew = async (proof) => onCodes((await post(`${FACTOR}/backup-codes`, proof)).data.codes);
  const disable = async (proof) => { await post(`${FACTOR}/disable`, proof); await onOff(); };
  return html`<dl class="facts"><dt>On since</dt><dd>${when(status.enabledAt, "today ")}</dd><dt>Backup codes</dt><dd class=${left <= FEW ? "warn" : ""}>${left} left${left <= FEW ? "; make new ones" : ""}</dd></dl>
    <div class="row"><button class="btn" type="button" onClick=${() => setAsking("codes")}>New backup codes…</button><button class="btn" type="button" onClick=${() => setAsking("off")}>Turn it off…</button></div>
    ${asking === "codes" && html`<${Proven} title="New backup codes?" go="Make new codes" onClose=${close} act=${renew}>The codes you have now stop working.<//>`}
    ${asking === "off" && html`<${Proven} title="Turn two-factor authentication off?" go="Turn it off" bad onClose=${close} act=${disable}>Your password alone signs in then. Your backup codes are void.<//>`}`;
}

/** `record`: of `useRecord(FACTOR_STATUS)`; `heldBack(act)`: nothing is read before `act` is over; `onSessions`: one's other sessions have ended. */
export function OwnFactor({ record, heldBack, onSessions }) {
  const { data: status, fault, load } = record;
  const [enrolment, setEnrolment] = useState(null);
  // Codes nobody has kept yet outlast a look at another room, as unsaved edits do.
  const unkept = useDraft("own backup codes", NONE), codes = unkept.value("codes");
  const heading = useRef(null), acted = useRef(false);
  const phase = codes ? "codes" : !status ? null : status.enabled ? "on" : enrolment ? "enrolling" : "off";
  useEffect(() => { // whoever pressed a button that is no longer there begins again at the top of what came
    if (acted.current) heading.current.focus();
    acted.current = false;
  }, [phase]);
  async function enrol() {
    try {
      const { data } = await post(`${FACTOR}/setup`);
      acted.current = true;
      setEnrolment(data);
    } catch (refusal) {
      if (refusal.status === 409) await load();
      throw refusal;
    }
  }
  const made = (fresh) => { acted.current = true; unkept.set("codes", fresh); setEnrolment(null); load(); onSessions(); };
  const kept = () => { acted.current = true; unkept.clear(); load(); };
  const off = async () => { acted.current = true; await load(); toast("Two-factor authentication is off."); };
  const isOn = phase === "on" || phase === "codes";
  const shown = {
    codes: () => html`<${Codes} codes=${codes} onKept=${kept} />`,
    on: () => html`<${On} status=${status} onCodes=${made} onOff=${off} />`,
    enrolling: () => html`<${Enrolment} enrolment=${enrolment} heldBack=${heldBack} onCodes=${made} onLeave=${() => { acted.current = true; setEnrolment(null); }} />`,
    off: () => html`<p class="soft">A code of an app on your phone, besides your password. Who learns your password cannot sign in with it alone.</p><div class="row"><${Act} cls="btn-main" act=${enrol}>Turn it on…<//></div>`,
  }[phase] ?? (() => (fault ? html`<${Wrong}>${fault.message} <button class="as-link" type="button" onClick=${load}>Try again</button><//>` : html`<${Bones} label="two-factor authentication" />`));
  return html`<section class="panel" aria-labelledby="ac-2f"><header><h2 id="ac-2f" ref=${heading} tabindex="-1">Two-factor authentication</h2>${phase && html`<span class=${`push state ${isOn ? "ok" : "soft"}`}><${Icon} name=${isOn ? "check" : "ring"} />${isOn ? "On" : "Off"}</span>`}</header><div class="panel-body stack">${shown()}</div></section>`;
}
