/* What charts of the past share: words, figures, times of the city, colours and hatching.

   Rule: times are the city's, whatever zone the browser is in. */

const { lang } = document.documentElement;
const locale = lang === "id" ? "id-ID" : "en-GB";
export const UNKNOWN = "·";
export const HOUR_MS = 3_600_000;
/** Until when the past is made up, in a demo; 0: nothing is. */
export const madeUpUntil = Number(document.body.dataset.simulated ?? 0);

/** A word of the page, by its key. @param {string} key */
export function word(key) {
  return document.querySelector(`[data-key="${key}"]`)?.textContent ?? key;
}

/** Whether a window that begins then is a demo's. @param {number} from */
export function isMadeUp(from) {
  return from < madeUpUntil;
}

/** @param {number} digits */
function numbers(digits) {
  return new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
const [whole, tenths] = [numbers(0), numbers(1)];
const RATES = /** @type {[number, string][]} */ ([[1e9, "Gb/s"], [1e6, "Mb/s"], [1e3, "kb/s"]]);

/** A mean number of devices. @param {number | null} number */
export function count(number) {
  if (number === null) return UNKNOWN;
  return number > 0 && number < 9.95 && number % 1 ? tenths.format(number) : whole.format(number);
}

/** Bits a second. @param {number | null} bps */
export function rate(bps) {
  if (bps === null) return UNKNOWN;
  const [size, unit] = RATES.find(([least]) => bps >= least * 0.9995) ?? [1, "b/s"];
  const scaled = bps / size;
  return `${(scaled < 9.95 && size > 1 && scaled % 1 ? tenths : whole).format(scaled)} ${unit}`;
}

/** @param {number | null} part */
export function percent(part) {
  if (part === null) return UNKNOWN;
  const rounded = Math.round(part * 100);
  return `${rounded === 100 && part < 1 ? 99 : rounded}%`;
}

/** Clock and calendar of a zone. @param {string} zone */
export function clocks(zone) {
  /** @param {Intl.DateTimeFormatOptions} fields */
  const of = (fields) => {
    const format = new Intl.DateTimeFormat(locale, { timeZone: zone, ...fields });
    return (/** @type {number} */ at) => format.format(at);
  };
  return {
    time: of({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
    day: of({ day: "numeric", month: "short" }),
    date: of({ weekday: "short", day: "numeric", month: "short", year: "numeric" }),
    month: of({ month: "short" }),
  };
}

/** A colour of the page as it is now, light or dark. @param {string} name */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** What fills time of which nothing is known, or in which work was planned.
    @param {CanvasRenderingContext2D} context @param {string} name of a colour
    @param {number} leans 1: to the right, -1: to the left */
export function hatching(context, name = "edge", leans = 1) {
  const tile = document.createElement("canvas");
  const size = Math.round(8 * devicePixelRatio);
  tile.width = tile.height = size;
  const pen = /** @type {CanvasRenderingContext2D} */ (tile.getContext("2d"));
  pen.strokeStyle = colour(name);
  pen.lineWidth = devicePixelRatio;
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift, leans > 0 ? size : 0);
    pen.lineTo(shift + size, leans > 0 ? 0 : size);
  }
  pen.stroke();
  return /** @type {CanvasPattern} */ (context.createPattern(tile, "repeat"));
}

/** An answer of the API; throws what a person can read. @param {string} address */
export async function ask(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail ?? `HTTP ${answer.status}`);
  return body;
}

/** A library of ours, as a script or a sheet of styles. @param {string} path @returns {Promise<void>} */
export function library(path) {
  const href = new URL(path, import.meta.url).href;
  return new Promise((resolve, reject) => {
    const isStyle = path.endsWith(".css");
    const element = document.createElement(isStyle ? "link" : "script");
    Object.assign(element, isStyle ? { rel: "stylesheet", href } : { src: href });
    element.onload = () => resolve();
    element.onerror = () => reject(new Error(path));
    document.head.prepend(element); // styles of ours come later, and so count more
  });
}

/** The arrows move through what is drawn, the readout says what is there.
    @param {HTMLElement} box @param {{count: () => number, at: () => number, go: (n: number) => void,
    row?: number}} walk */
export function keys(box, walk) {
  box.addEventListener("keydown", (event) => {
    const last = walk.count() - 1;
    const step = event.shiftKey ? 10 : 1;
    const moves = /** @type {Record<string, number>} */ ({
      ArrowLeft: walk.at() - step * (walk.row ?? 1),
      ArrowRight: walk.at() + step * (walk.row ?? 1),
      ...(walk.row && { ArrowUp: walk.at() - 1, ArrowDown: walk.at() + 1 }),
      Home: 0,
      End: last,
    });
    if (!(event.key in moves) || last < 0) return;
    event.preventDefault();
    walk.go(Math.min(last, Math.max(0, moves[event.key])));
  });
}
