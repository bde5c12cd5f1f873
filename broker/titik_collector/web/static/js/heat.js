/* A year of hours at a glance: a column for each day, a row for each hour of the city's clock.

   Rule: nothing known is hatched, an hour that no clock showed is empty, zero is the darkest step. */

import { ask, clocks, colour, count, hatching, HOUR_MS, isMadeUp, keys, percent, rate, word } from "./past.js";

const HOURS = 24;
const STEPS = 7;
const LEFT = 34; // pixels for the hours
const TOP = 18; // for the months
const ROW = 8;
const WIDEST = 28; // of a day: the few of a new place are no flags

/** @param {any} figure */
export async function mount(figure) {
  const box = figure.querySelector(".chart-box");
  try {
    const { heat = "clients_mean", subjects = "", from } = figure.dataset;
    const query = new URLSearchParams({ m: heat, ...(from && { from }) });
    const found = begun(await ask(`/api/v1/heat/${subjects}?${query}`));
    const canvas = document.createElement("canvas");
    canvas.setAttribute("aria-hidden", "true"); // the readout has it in words
    box.replaceChildren(canvas);
    const draw = () => paint(canvas, box, found);
    new ResizeObserver(draw).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    legend(figure, found);
    walk(figure, box, canvas, found);
  } catch (error) {
    readout(figure, `${word("no chart")} ${error instanceof Error ? error.message : ""}`);
  }
}

/** Without the days before the first one that has data. @param {any} found */
function begun(found) {
  const first = found.coverage_ratio.findIndex((/** @type {any[]} */ day) => day.some((one) => one > 0));
  if (first <= 0) return found;
  return {
    ...found,
    day_ms: found.day_ms.slice(first),
    values: found.values.slice(first),
    coverage_ratio: found.coverage_ratio.slice(first),
    skipped: found.skipped.map((/** @type {number[]} */ [day, hour]) => [day - first, hour]),
  };
}

/** How wide a day is. @param {number} width of the whole @param {any} found */
function columnOf(width, found) {
  return Math.min((width - LEFT) / found.day_ms.length, WIDEST);
}

/** @param {HTMLCanvasElement} canvas @param {HTMLElement} box @param {any} found */
function paint(canvas, box, found) {
  const [width, height] = [box.clientWidth, TOP + HOURS * ROW];
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const hatch = hatching(pen);
  pen.scale(devicePixelRatio, devicePixelRatio);
  const column = columnOf(width, found);
  const skipped = new Set(found.skipped.map((/** @type {number[]} */ one) => one.join()));
  const colours = Array.from({ length: STEPS }, (_, n) => colour(`heat-${n + 1}`));
  found.values.forEach((/** @type {any[]} */ day, /** @type {number} */ n) => {
    day.forEach((value, hour) => {
      if (skipped.has(`${n},${hour}`) || isOpen(found, n, hour)) return;
      pen.fillStyle = value === null ? hatch : colours[step(value, found.highest)];
      // Half a pixel more, or the page would shine through between two cells.
      pen.fillRect(LEFT + n * column, TOP + hour * ROW, column + 0.5, ROW);
    });
  });
  words(pen, found, column);
}

/** @param {CanvasRenderingContext2D} pen @param {any} found @param {number} column */
function words(pen, found, column) {
  const { month, time } = clocks(found.zone);
  pen.fillStyle = colour("muted");
  pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  pen.textBaseline = "top";
  let free = LEFT;
  found.day_ms.forEach((/** @type {number} */ at, /** @type {number} */ n) => {
    const isFirst = n === 0 || month(at) !== month(found.day_ms[n - 1]);
    const left = LEFT + n * column;
    // The first month may be over before its name is.
    const isShort = n === 0 && month(found.day_ms[Math.ceil(40 / column)] ?? at) !== month(at);
    if (!isFirst || isShort || left < free) return;
    const text = month(at);
    pen.fillText(text, left, 2);
    free = left + pen.measureText(text).width + 8;
  });
  pen.textAlign = "right";
  for (const hour of [0, 6, 12, 18]) pen.fillText(String(hour).padStart(2, "0"), LEFT - 6, TOP + hour * ROW);
}

/** From 0 for zero to the last for the highest. @param {number} value @param {number} highest */
export function step(value, highest) {
  if (!(value > 0) || !(highest > 0)) return 0;
  return Math.min(STEPS - 1, Math.ceil((value / highest) * (STEPS - 1)));
}

/** Not over yet, or before there was a router. @param {any} found @param {number} day
    @param {number} hour */
function isOpen(found, day, hour) {
  return found.values[day][hour] === null && (found.coverage_ratio[day][hour] ?? null) === null;
}

/** @param {any} found */
function textOf(found) {
  if (found.measure.endsWith("_bps")) return rate;
  return found.measure.endsWith("_ratio") ? percent : count;
}

/** The steps and what they mean. @param {HTMLElement} figure @param {any} found */
function legend(figure, found) {
  const list = /** @type {HTMLElement} */ (figure.querySelector(".heat-legend"));
  const text = textOf(found);
  list.replaceChildren();
  const add = (/** @type {string} */ kind, /** @type {string} */ words) => {
    const item = document.createElement("li");
    item.className = kind;
    item.textContent = words;
    list.append(item);
  };
  add("heat-1", text(0));
  for (let n = 1; n < STEPS && found.highest > 0; n++) {
    add(`heat-${n + 1}`, `≤ ${text((found.highest * n) / (STEPS - 1))}`);
  }
  add("hatched", word("no data"));
}

/** @param {HTMLElement} figure @param {HTMLElement} box @param {HTMLCanvasElement} canvas
    @param {any} found */
function walk(figure, box, canvas, found) {
  let at = found.day_ms.length * HOURS - 1;
  const last = at;
  const say = (/** @type {number} */ n) => {
    at = n;
    readout(figure, said(found, Math.floor(n / HOURS), n % HOURS));
  };
  canvas.addEventListener("mousemove", (event) => {
    const column = columnOf(canvas.clientWidth, found);
    const day = Math.floor((event.offsetX - LEFT) / column);
    const hour = Math.floor((event.offsetY - TOP) / ROW);
    if (found.values[day]?.[hour] !== undefined) say(day * HOURS + hour);
  });
  keys(box, { count: () => last + 1, at: () => at, go: say, row: HOURS });
}

/** @param {any} found @param {number} day @param {number} hour */
function said(found, day, hour) {
  const { date } = clocks(found.zone);
  const clock = `${String(hour).padStart(2, "0")}–${String(hour + 1).padStart(2, "0")}`;
  const value = found.values[day][hour];
  const known = found.coverage_ratio[day][hour] ?? null;
  const made = isMadeUp(found.day_ms[day] + hour * HOUR_MS) ? ` (${word("simulated")})` : "";
  const words = value === null ? word("no data") : `${word(found.measure)} ${textOf(found)(value)}, ${word("strip data")} ${percent(known)}`;
  return `${date(found.day_ms[day])} ${clock}${made}: ${words}`;
}

/** @param {HTMLElement} figure @param {string} text */
function readout(figure, text) {
  /** @type {HTMLElement} */ (figure.querySelector(".chart-readout")).textContent = text;
}
