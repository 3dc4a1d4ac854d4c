// One's own photo: chosen, looked at before it is sent, removed.
import { post, remove } from "../api.js";
import { html } from "../html.js";
import { useEffect, useRef, useState } from "../vendor/hooks.mjs";
import { Face } from "./face.js";
import { Act, Wrong } from "./form.js";
import { toast } from "./toast.js";

const PHOTO = "/api/v1/profile/photo";
const SIDE = 160; // pixels, twice as shown
const LONGEST_BYTES = 1024 * 1024;
const KINDS = ["image/jpeg", "image/png", "image/webp"];

/** The middle of a picture as it will be shown; drawn, because the page's policy loads pictures from the Hub only. */
function Preview({ file, onBroken }) {
  const self = useRef(null);
  useEffect(() => {
    let over = false;
    createImageBitmap(file).then((picture) => {
      const side = Math.min(picture.width, picture.height);
      if (!over) self.current.getContext("2d").drawImage(picture, (picture.width - side) / 2, (picture.height - side) / 2, side, side, 0, 0, SIDE, SIDE);
      picture.close();
    }, () => over || onBroken());
    return () => { over = true; };
  }, [file]);
  return html`<canvas ref=${self} class="photo" width=${SIDE} height=${SIDE} role="img" aria-label="The photo you have chosen"></canvas>`;
}

/** `profile`: with its `name` and `image`; `onChanged(answer)`: the profile as it is now. */
export function OwnPhoto({ profile, onChanged }) {
  const input = useRef(null), buttons = useRef(null), acted = useRef(false);
  const [file, setFile] = useState(null), [wrong, setWrong] = useState(null);
  useEffect(() => { // the button that was pressed has given way to another
    if (acted.current) buttons.current.querySelector("button").focus();
    acted.current = false;
  }, [file, profile.image]);
  const take = (chosen) => { acted.current = chosen !== file; setFile(chosen); };
  function choose(event) {
    const chosen = event.currentTarget.files[0] ?? null;
    event.currentTarget.value = ""; // the same file may be chosen again
    if (!chosen) return;
    const refusal = !KINDS.includes(chosen.type) ? "This is no JPEG, PNG or WebP picture." : chosen.size > LONGEST_BYTES ? `This picture has ${(chosen.size / LONGEST_BYTES).toFixed(2)} MB; 1 MB is the most.` : null;
    setWrong(refusal);
    take(refusal ? null : chosen);
  }
  const done = (answer, words) => { onChanged(answer); setWrong(null); take(null); acted.current = true; toast(words); };
  async function send() {
    const form = new FormData();
    form.append("photo", file);
    done(await post(PHOTO, form), "Your photo is set.");
  }
  const refused = (fault) => setWrong(`${fault.field?.("photo") ? `The picture ${fault.field("photo")}.` : fault.message} Your photo has not changed.`);
  return html`<div class="photo-row">
    ${file ? html`<${Preview} key=${file} file=${file} onBroken=${() => { take(null); setWrong("Your browser cannot read this picture."); }} />` : html`<${Face} name=${profile.name} image=${profile.image} cls="photo" />`}
    <div class="stack"><div class="row" ref=${buttons}><input ref=${input} type="file" hidden accept=${KINDS.join()} aria-label="Photo" onChange=${choose} />
      ${file ? html`<${Act} cls="btn-main" act=${send} onFault=${refused} busyWord="Sending">Use this photo<//><button class="btn" type="button" onClick=${() => take(null)}>Not this one</button>`
        : html`<button class="btn" type="button" onClick=${() => input.current.click()}>${profile.image ? "Another photo…" : "Choose a photo…"}</button>
          ${profile.image && html`<${Act} act=${async () => done(await remove(PHOTO), "Your photo is removed.")} onFault=${refused} busyWord="Removing">Remove<span class="vh"> your photo</span><//>`}`}</div>
      <p class="hint">JPEG, PNG or WebP, up to 1 MB. Its middle is shown as a circle; where it was taken is not kept.</p>
      ${wrong && html`<${Wrong}>${wrong}<//>`}</div></div>`;
}
