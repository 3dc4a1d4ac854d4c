// Stacked bars over time: each bar is met by pointer, finger and arrow keys and tells itself in words; the line above is its tooltip.
import { html } from "../html.js";
import { useRef, useState } from "../vendor/hooks.mjs";
import { short } from "./numbers.js";

const HEIGHT = 188, TOP = 8; // of the bars, in pixels; below them stand the dates
const OWN = { "it-admin": "it", marketing: "mk", secretary: "se", sales: "sa", dispatcher: "di" };
const COLOURS = ["it", "mk", "se", "sa", "di"];
const MOST = COLOURS.length;

/**
 * Who gets which colour. `list`: `[{key, word, value}]`, the largest first; what is too much for the colours becomes one more, `others`.
 * Answers `[{key, word, value, colour, keys}]`.
 */
export function coloured(list) {
  const some = list.length > MOST ? list.slice(0, MOST - 1) : list, rest = list.slice(some.length);
  const free = COLOURS.filter((colour) => !some.some((one) => OWN[one.key] === colour) && !(rest.length && colour === "di"));
  const taken = new Set(rest.length ? ["di"] : []);
  const made = some.map((one) => {
    const colour = OWN[one.key] && !taken.has(OWN[one.key]) ? OWN[one.key] : free.shift() ?? "di";
    taken.add(colour);
    return { ...one, colour, keys: [one.key] };
  });
  return rest.length ? [...made, { key: "others", word: `${rest.length} others`, value: rest.reduce((sum, one) => sum + one.value, 0), colour: "di", keys: rest.map((one) => one.key) }] : made;
}

/** Where the axis ends and which lines it has: three to five, at round numbers. */
export function scale(most) {
  const rough = Math.max(most, 1) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough));
  const lines = Math.max(1, Math.ceil(most / step));
  return { end: lines * step, lines: Array.from({ length: lines + 1 }, (_, index) => index * step) };
}

const y = (value, end) => HEIGHT - (value / end) * (HEIGHT - TOP);

/** The rectangles of one bar, from below; a hairline of the ground stays between them. */
function Stack({ point, series, end, x, width }) {
  let below = 0;
  return series.map(({ key, colour, keys }) => {
    const value = keys.reduce((sum, one) => sum + (point.values[one] ?? 0), 0);
    if (!value) return null;
    const bottom = y(below, end), top = y(below += value, end);
    return html`<rect key=${key} class=${`c-${colour}`} x=${x} width=${width} y=${top.toFixed(1)} height=${Math.max(1, bottom - top - (bottom - top > 3 ? 1 : 0)).toFixed(1)} />`;
  });
}

/** One point in words, the largest part first. */
export function told(point, series) {
  const parts = series.map((one) => [one.word, one.keys.reduce((sum, key) => sum + (point.values[key] ?? 0), 0)]).filter(([, value]) => value).sort((one, other) => other[1] - one[1]);
  return parts.map(([word, value]) => `${word} ${short(value)}`).join(", ");
}

/**
 * `points`: `[{key, word, tick, total, values}]`, oldest first; `values`: by key of the series; `series`: of `coloured`;
 * `label`: what is shown; `every`: how far apart dates stand; `now`: the word under the last bar; `unit`: what is counted.
 */
export function Bars({ points, series, label, every, now, unit }) {
  const self = useRef(null);
  const [chosen, choose] = useState(null);
  const last = points.length - 1;
  const at = chosen === null ? points.findLastIndex((point) => point.total > 0) : Math.min(chosen, last);
  const focused = at < 0 ? last : at;
  const { end, lines } = scale(Math.max(...points.map((point) => point.total)));
  const slot = 100 / points.length, part = (share) => `${share.toFixed(3)}%`;
  const keys = (event) => {
    const to = { ArrowLeft: focused - 1, ArrowRight: focused + 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    self.current.querySelectorAll("[data-bar]")[Math.max(0, Math.min(last, to))].focus();
  };
  const shown = points[focused];
  return html`<p class="small readout"><b>${shown.word}: ${short(shown.total)}.</b> <span class="soft">${told(shown, series)}</span></p>
    <div class="plot"><svg class="chart" height=${HEIGHT + 26} aria-hidden="true">${lines.map((line) => html`<text key=${line} x="0" y=${(y(line, end) + 4).toFixed(1)}>${short(line)}</text>`)}</svg>
      <svg ref=${self} class="chart" height=${HEIGHT + 26} role="group" aria-label=${`${label}. Left and right arrow keys go from bar to bar; the table has the same figures.`} onKeyDown=${keys} onPointerLeave=${(event) => event.pointerType === "mouse" && choose(null)}>
        ${lines.map((line) => html`<line key=${line} class=${line ? "grid" : "axis"} x1="0" x2="100%" y1=${y(line, end).toFixed(1)} y2=${y(line, end).toFixed(1)} />`)}
        ${points.map((point, index) => html`<g key=${point.key} data-bar=${point.key} class=${index === focused && chosen !== null ? "bar-here" : ""} role="img" tabindex=${index === focused ? "0" : "-1"} aria-label=${`${point.word}: ${short(point.total)} ${unit}. ${told(point, series)}`}
            onFocus=${() => choose(index)} onPointerEnter=${() => choose(index)}>
          <rect class="slot" x=${part(index * slot)} width=${part(slot)} y="0" height=${HEIGHT} />
          <${Stack} point=${point} series=${series} end=${end} x=${part((index + 0.16) * slot)} width=${part(slot * 0.68)} /></g>`)}
        ${points.map((point, index) => (index !== last && ((last - index) % every || last - index < every / 2) ? null : html`<text key=${point.key} class=${index === last ? "strong" : ""} x=${index === last ? "100%" : part((index + 0.5) * slot)} y=${HEIGHT + 20} text-anchor=${index === last ? "end" : index ? "middle" : "start"}>${index === last ? now : point.tick}</text>`))}
      </svg></div>
    <ul class="legend" aria-label="Colours">${series.map((one) => html`<li key=${one.key}><svg aria-hidden="true"><rect class=${`c-${one.colour}`} width="10" height="10" rx="2" /></svg><bdi>${one.word}</bdi></li>`)}</ul>`;
}
