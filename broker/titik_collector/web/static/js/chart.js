/* Charts of the past: lines by uPlot, drawn from /api/v1/history, with what is known below them.

   Rule: time of which nothing is known is hatched and never bridged. A lone window is a dot.
   Rule: below the lines stand two strips: online or away, and how much of the time is known. */

import { ask, clocks, colour, count, hatching, isMadeUp, keys, library, madeUpUntil, percent, rate, word } from "./past.js";

const HEIGHT = 180;
const STRIP = 11;
const MOST_ROWS = 200; // of a table
const LONGER = { "1m": "1h", "1h": "1d" };
const SHARED = ["coverage_ratio", "online_ratio"];
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 5], [12, 6]];
/** What can be drawn: the fields of a line each, and the band around a single one. */
const MEASURES = {
  clients: { lines: ["clients_mean"], band: ["clients_min", "clients_max"], text: count },
  active: { lines: ["active_mean"], text: count },
  wifi: { lines: ["wifi_down_bps", "wifi_up_bps"], text: rate },
  uplink: { lines: ["uplink_down_bps", "uplink_up_bps"], text: rate },
};
/** @type {any} */
let UPlot;

/** Draw what a figure asks for, and again where the device turns dark. @param {HTMLElement} figure */
export async function mount(figure) {
  const box = /** @type {HTMLElement} */ (figure.querySelector(".chart-box"));
  const slow = setTimeout(() => box.setAttribute("data-slow", word("loading")), 3000);
  try {
    const [past] = await Promise.all([read(figure), uplot()]);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const draw = () => {
      if (figure.isConnected) show(figure, box, past);
      else dark.removeEventListener("change", draw); // another one took its place
    };
    draw();
    dark.addEventListener("change", draw);
    table(figure, past);
  } catch (error) {
    readout(figure, `${word("no chart")} ${error instanceof Error ? error.message : ""}`);
  } finally {
    clearTimeout(slow);
    box.removeAttribute("data-slow");
  }
}

async function uplot() {
  UPlot ??= /** @type {any} */ (window).uPlot;
  if (UPlot) return;
  const hasStyles = document.querySelector('link[href$="/css/chart.css"]');
  await Promise.all([
    library("../vendor/uPlot.iife.min.js"),
    library("../vendor/uPlot.min.css"),
    hasStyles ?? library("../css/chart.css"),
  ]);
  UPlot = /** @type {any} */ (window).uPlot;
}

/** The histories of all subjects, window by window, and why they were away.
    @param {HTMLElement} figure @param {string | undefined} w  the window, if not the one that fits */
async function read(figure, w = figure.dataset.w) {
  const { chart = "clients", subjects = "", from, to } = figure.dataset;
  const measure = MEASURES[/** @type {keyof typeof MEASURES} */ (chart)];
  const band = "band" in measure ? measure.band : [];
  const query = new URLSearchParams({ fields: [...measure.lines, ...band, ...SHARED].join() });
  for (const [name, value] of Object.entries({ from, to, w })) if (value) query.set(name, value);
  const names = subjects.split(" ");
  const each = await Promise.all(names.map((one) => ask(`/api/v1/history/${one}?${query}`)));
  const starts = each[0].start_ms;
  const ends = [...starts.slice(1), each[0].end_ms];
  const over = until(each[0]);
  const last = starts.findIndex((/** @type {number} */ start, /** @type {number} */ n) => start < over && ends[n] > over);
  // Of a window that goes on coverage is a share of its whole length: as if nothing had come.
  for (const { figures } of each) if (last >= 0) figures.coverage_ratio[last] = null;
  return { measure, each, starts, ends, over, zone: each[0].zone,
    outages: await outages(names, starts[0]) };
}

/** When the time begins whose windows are not over; Infinity: all are. @param {any} history */
function until({ pending, end_ms: end }) {
  const open = pending.filter((/** @type {[number, number]} */ [, to]) => to === end);
  return open.length ? Math.max(...open.map((/** @type {[number, number]} */ [from]) => from)) : Infinity;
}

/** When and why a single subject was away, for the words of a gap.
    @param {string[]} names @param {number} since */
async function outages(names, since) {
  if (names.length > 1 || !since) return [];
  const days = Math.min(400, Math.ceil((Date.now() - since) / 86_400_000) + 1);
  if (days > 40) return []; // a day's gap has too many reasons
  const strip = await ask(`/api/v1/strips/${names[0]}?days=${days}`).catch(() => ({ days: [] }));
  return strip.days.flatMap((/** @type {any} */ day) => day.longest ?? []).map((/** @type {any} */ one) => ({
    cause: one.cause, from: Date.parse(one.start), to: one.end ? Date.parse(one.end) : Infinity,
  }));
}

/** @param {HTMLElement} figure @param {HTMLElement} box @param {any} past */
function show(figure, box, past) {
  box.replaceChildren();
  const middles = past.starts.map((/** @type {number} */ one, /** @type {number} */ n) => (one + past.ends[n]) / 2000);
  const lines = linesOf(past);
  const plot = new UPlot(options(figure, box, past, lines), [middles, ...lines.map((one) => one.values)], box);
  new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: HEIGHT + 2 * STRIP })).observe(box);
  const empty = lines.every((one) => one.values.every((/** @type {any} */ value) => value === null));
  readout(figure, empty ? word("no data") : summary(past));
  let at = past.starts.length;
  keys(box, {
    count: () => past.starts.length,
    at: () => at,
    go: (n) => {
      at = n;
      plot.setCursor({ left: plot.valToPos(middles[n], "x"), top: plot.over.clientHeight / 2 });
      readout(figure, said(past, n));
    },
  });
}

/** Every line with its values and how it looks; those of a band come last. @param {any} past */
function linesOf(past) {
  const { measure, each } = past;
  const isAlone = each.length === 1;
  const lines = each.flatMap((/** @type {any} */ one, /** @type {number} */ n) =>
    measure.lines.map((/** @type {string} */ field, /** @type {number} */ m) => {
      const number = isAlone ? m : n;
      return { field, of: one, values: one.figures[field], stroke: colour(`series-${number + 1}`),
        dash: DASHES[isAlone || measure.lines.length > 1 ? m : n], label: isAlone ? word(field) : one.title };
    }),
  );
  if (isAlone && measure.band && each[0].window !== "1m") {
    for (const field of measure.band) {
      lines.push({ field, of: each[0], values: each[0].figures[field], band: true, label: word(field) });
    }
  }
  return lines;
}

/** @param {HTMLElement} figure @param {HTMLElement} box @param {any} past @param {any[]} lines */
function options(figure, box, past, lines) {
  const isBand = lines[lines.length - 1].band;
  const { day, time } = clocks(past.zone);
  const axis = { stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false },
    font: `12px ${getComputedStyle(box).fontFamily}` };
  return {
    width: box.clientWidth,
    height: HEIGHT + 2 * STRIP,
    tzDate: (/** @type {number} */ at) => UPlot.tzDate(new Date(at * 1000), past.zone),
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: { x: { range: () => [past.starts[0] / 1000, past.ends[past.ends.length - 1] / 1000] }, y: { range: top } },
    bands: isBand ? [{ series: [lines.length, lines.length - 1], fill: `${colour("series-1")}33` }] : [],
    axes: [
      { ...axis, gap: 2 * STRIP + 8, size: 24 + 2 * STRIP, space: 56,
        values: (/** @type {any} */ _, /** @type {number[]} */ splits) => ticks(splits, day, time) },
      { ...axis, size: 62, space: 32,
        values: (/** @type {any} */ _, /** @type {number[]} */ splits) => once(splits.map(past.measure.text)) },
    ],
    series: [{}, ...lines.map(series)],
    hooks: {
      drawAxes: [(/** @type {any} */ plot) => gaps(plot, past)],
      draw: [(/** @type {any} */ plot) => strips(plot, past), (/** @type {any} */ plot) => madeUp(plot, past)],
      setCursor: [(/** @type {any} */ plot) => plot.cursor.event && hover(figure, past, plot)],
    },
  };
}

/** Where nothing happened, several lines of the axis would have one label. @param {string[]} labels */
function once(labels) {
  return labels.map((one, n) => (one === labels[n - 1] ? null : one));
}

/** Zero is the ground of every figure. @param {any} _ @param {number} __ @param {number | null} most */
function top(_, __, most) {
  return [0, Math.max(1, (most ?? 0) * 1.08)];
}

/** @param {any} line */
function series(line) {
  const hidden = { show: false };
  if (line.band) return { points: hidden, stroke: "transparent", width: 0, spanGaps: false };
  return {
    stroke: line.stroke,
    width: 2,
    dash: line.dash,
    spanGaps: false,
    points: { show: true, size: 6, fill: line.stroke, filter: () => lone(line.values) },
  };
}

/** Windows with nothing known on either side: a line would not show them. @param {any[]} values */
function lone(values) {
  return values.flatMap((value, n) =>
    value !== null && (values[n - 1] ?? null) === null && (values[n + 1] ?? null) === null ? [n] : [],
  );
}

/** A day where it begins, else the time. @param {number[]} splits @param {(at: number) => string} day
    @param {(at: number) => string} time */
function ticks(splits, day, time) {
  const apart = splits.length > 1 ? splits[1] - splits[0] : 0;
  return splits.map((at) => {
    const clock = time(at * 1000);
    return apart >= 86_400 || /^00.00$/.test(clock) ? day(at * 1000) : clock;
  });
}

/** Spans of windows that fit, as [first, last]. @param {any} past @param {(n: number) => boolean} fits */
function runs(past, fits) {
  /** @type {[number, number][]} */
  const found = [];
  for (let n = 0; n < past.starts.length; n++) {
    if (!fits(n)) continue;
    const last = found[found.length - 1];
    if (last && last[1] === n - 1) last[1] = n;
    else found.push([n, n]);
  }
  return found;
}

/** Whether a window is over and nothing is known of any subject. @param {any} past @param {number} n */
function isGap(past, n) {
  return past.each.every((/** @type {any} */ one) => one.figures.coverage_ratio[n] === 0);
}

/** Hatch what nothing is known of. @param {any} plot @param {any} past */
function gaps(plot, past) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.fillStyle = hatching(ctx);
  for (const [first, last] of runs(past, (n) => isGap(past, n))) {
    const [left, right] = [edge(plot, past.starts[first]), edge(plot, past.ends[last])];
    ctx.fillRect(left, bbox.top, Math.max(right - left, devicePixelRatio), bbox.height);
  }
  ctx.restore();
}

/** @param {any} plot @param {number} at */
function edge(plot, at) {
  return plot.valToPos(at / 1000, "x", true);
}

/** Below the lines: what the routers did, and how much of it is known. @param {any} plot @param {any} past */
function strips(plot, past) {
  if (past.each.length > 1) return;
  const { ctx, bbox } = plot;
  const { coverage_ratio: coverage, online_ratio: shares } = past.each[0].figures;
  const high = (STRIP - 2) * devicePixelRatio;
  const tops = [0, 1].map((row) => bbox.top + bbox.height + (3 + row * STRIP) * devicePixelRatio);
  const hatch = hatching(ctx);
  ctx.save();
  const [away, online, known] = ["state-offline", "state-online", "text"].map(colour);
  past.starts.forEach((/** @type {number} */ start, /** @type {number} */ n) => {
    const part = shares[n] ?? null;
    if (coverage[n] === null && part === null) return; // not over yet, or before there was a router
    // Whole pixels, each of one window: two colours in a pixel would be a third one.
    const left = Math.round(edge(plot, start));
    const end = start < past.over ? Math.min(past.ends[n], past.over) : past.ends[n];
    const width = Math.max(1, Math.round(edge(plot, end)) - left);
    const up = Math.round(high * (part ?? 0));
    ctx.clearRect(left, tops[0], width, high + STRIP * devicePixelRatio);
    ctx.fillStyle = part === null ? hatch : away;
    ctx.fillRect(left, tops[0] + up, width, high - up);
    ctx.fillStyle = online;
    ctx.fillRect(left, tops[0], width, up);
    if (coverage[n] === null) return;
    ctx.fillStyle = coverage[n] ? known : hatch;
    ctx.globalAlpha = coverage[n] ? Math.ceil(coverage[n] * 4) / 5 : 1;
    ctx.fillRect(left, tops[1], width, high);
    ctx.globalAlpha = 1;
  });
  ctx.fillStyle = hatching(ctx, "text", -1); // over what the routers did meanwhile
  for (const [from, to] of past.each[0].maintenance ?? []) {
    const left = Math.max(edge(plot, from), bbox.left);
    const right = Math.min(edge(plot, to), bbox.left + bbox.width);
    if (right > left) ctx.fillRect(left, tops[0], Math.max(right - left, devicePixelRatio), high);
  }
  ctx.fillStyle = colour("muted");
  ctx.font = `${10 * devicePixelRatio}px ${getComputedStyle(plot.root).fontFamily}`;
  ctx.textAlign = "right";
  ["strip online", "strip data"].forEach((key, row) => {
    ctx.fillText(word(key), bbox.left - 6 * devicePixelRatio, tops[row] + high);
  });
  ctx.restore();
}

/** The part that a demo made up ends with a line, and says so. @param {any} plot @param {any} past */
function madeUp(plot, past) {
  if (!isMadeUp(past.starts[0])) return;
  const { ctx, bbox } = plot;
  const size = 11 * devicePixelRatio;
  const right = Math.min(edge(plot, madeUpUntil), bbox.left + bbox.width);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, right - bbox.left, bbox.height);
  ctx.clip();
  ctx.font = `600 ${size}px ${getComputedStyle(plot.root).fontFamily}`;
  const width = ctx.measureText(word("simulated")).width + size;
  ctx.fillStyle = colour("warning");
  ctx.fillRect(bbox.left, bbox.top, width, size * 1.7);
  ctx.fillStyle = colour("on-warning");
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  ctx.fillText(word("simulated"), bbox.left + size / 2, bbox.top + size * 0.9);
  ctx.fillStyle = colour("on-warning");
  ctx.fillRect(right - 2 * devicePixelRatio, bbox.top, 2 * devicePixelRatio, bbox.height);
  ctx.restore();
}

/** @param {HTMLElement} figure @param {any} past @param {any} plot */
function hover(figure, past, plot) {
  const at = plot.cursor.left < 0 ? null : plot.posToVal(plot.cursor.left, "x") * 1000;
  if (at === null) return readout(figure, summary(past));
  const n = past.starts.filter((/** @type {number} */ start) => start <= at).length - 1;
  if (n >= 0) readout(figure, said(past, n));
}

/** What a window holds, in words. @param {any} past @param {number} n */
function said(past, n) {
  const notes = [isMadeUp(past.starts[n]) && word("simulated"), isPlanned(past, n) && word("maintenance")];
  const when = `${moment(past, n)}${notes.map((one) => (one ? ` (${one})` : "")).join("")}`;
  if (isGap(past, n)) return `${when}: ${word("no data")}${why(past, n)}`;
  const { measure, each } = past;
  const figures = each.map((/** @type {any} */ one) => {
    const texts = measure.lines.map((/** @type {string} */ field) => `${word(field)} ${measure.text(one.figures[field][n])}`);
    const known = `${word("strip data")} ${percent(one.figures.coverage_ratio[n])}`;
    return [each.length > 1 ? one.title : "", ...texts, extremes(one, measure, n), known].filter(Boolean).join(", ");
  });
  return `${when}: ${figures.join(" — ")}`;
}

/** Whether work was planned in a part of a window. @param {any} past @param {number} n */
function isPlanned(past, n) {
  const work = past.each.length > 1 ? [] : (past.each[0].maintenance ?? []);
  return work.some((/** @type {number[]} */ [from, to]) => from < past.ends[n] && to > past.starts[n]);
}

/** @param {any} one @param {any} measure @param {number} n */
function extremes(one, measure, n) {
  if (!measure.band) return "";
  const [low, high] = measure.band.map((/** @type {string} */ field) => one.figures[field]?.[n] ?? null);
  return low === null || high === null || low === high ? "" : `${measure.text(low)}–${measure.text(high)}`;
}

/** @param {any} past @param {number} n */
function moment(past, n) {
  const { date, time } = clocks(past.zone);
  const [from, to] = [past.starts[n], past.ends[n]];
  if (past.each[0].window === "1d") return date(from);
  return past.each[0].window === "1m" ? `${date(from)} ${time(from)}` : `${date(from)} ${time(from)}–${time(to)}`;
}

/** The outage that a gap belongs to. @param {any} past @param {number} n */
function why(past, n) {
  const found = past.outages.find((/** @type {any} */ one) => one.from < past.ends[n] && one.to > past.starts[n]);
  if (!found || found.cause === "unknown") return "";
  const { time } = clocks(past.zone);
  const until = found.to === Infinity ? "" : time(found.to);
  return `, ${word(`cause ${found.cause}`)} ${time(found.from)}–${until}`;
}

/** The whole of it, with how much is known. @param {any} past */
function summary(past) {
  const texts = past.each.map((/** @type {any} */ one) => {
    const known = one.figures.coverage_ratio.filter((/** @type {any} */ part) => part !== null);
    const mean = known.length ? known.reduce((/** @type {number} */ a, /** @type {number} */ b) => a + b, 0) / known.length : null;
    return `${past.each.length > 1 ? `${one.title}: ` : ""}${word("strip data")} ${percent(mean)}`;
  });
  return texts.join(" — ");
}

/** @param {HTMLElement} figure @param {string} text */
function readout(figure, text) {
  const line = figure.querySelector(".chart-readout");
  if (line && line.textContent !== text) line.textContent = text;
}

/** The button that shows the same as a table. @param {HTMLElement} figure @param {any} past */
function table(figure, past) {
  const button = /** @type {HTMLButtonElement | null} */ (figure.querySelector("[data-table]"));
  const holder = /** @type {HTMLElement | null} */ (figure.querySelector(".chart-table"));
  if (!button || !holder) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    holder.hidden = !holder.hidden;
    button.setAttribute("aria-expanded", String(!holder.hidden));
    if (holder.hidden || holder.firstChild) return;
    const shown = await readable(figure, past);
    if (!holder.firstChild) holder.append(rows(shown));
  });
}

/** What a table can show: minutes of a day are 1,440 rows, which only a file is good for.
    @param {HTMLElement} figure @param {any} past */
async function readable(figure, past) {
  const longer = LONGER[/** @type {keyof typeof LONGER} */ (past.each[0].window)];
  if (past.starts.length <= MOST_ROWS || !longer) return past;
  const found = await read(figure, longer).catch(() => past);
  const isKnown = found.each.some((/** @type {any} */ one) => one.figures.coverage_ratio.some((/** @type {any} */ part) => part));
  return isKnown ? found : past; // a new place has no whole hour yet
}

/** @param {any} past */
function rows(past) {
  const { measure, each } = past;
  const columns = each.flatMap((/** @type {any} */ one) =>
    [...measure.lines, "coverage_ratio"].map((/** @type {string} */ field) => ({
      head: `${each.length > 1 ? `${one.title}: ` : ""}${word(field)}`,
      text: field === "coverage_ratio" ? percent : measure.text,
      values: one.figures[field],
    })),
  );
  const made = document.createElement("table");
  const head = made.createTHead().insertRow();
  for (const text of [word("time"), ...columns.map((/** @type {any} */ one) => one.head)]) {
    head.append(Object.assign(document.createElement("th"), { textContent: text, scope: "col" }));
  }
  const body = made.createTBody();
  past.starts.forEach((/** @type {number} */ _, /** @type {number} */ n) => {
    const row = body.insertRow();
    row.append(Object.assign(document.createElement("th"), { textContent: moment(past, n), scope: "row" }));
    for (const one of columns) row.insertCell().textContent = one.text(one.values[n]);
  });
  return made;
}
