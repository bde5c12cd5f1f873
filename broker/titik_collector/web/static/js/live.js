/* The figures of a page, as they change. One stream while the page is seen, none while it is not.

   Rule: what is not known to be so now never looks live. A stream that is silent for two seconds,
   a sleep, a network that is gone: the mark in the head shows it, and ages go on counting.
   Rule: no age is made of the browser's own clock, which may be wrong. The server's time comes with
   each message, and goes on by the browser's stopwatch.
   Rule: whoever was away begins again with a snapshot.
   Rule: where nothing comes, the page asks again. A line that swallows everything gives no error. */

const STALE_MS = 2000; // the server reports each second that it lives
const LOST_MS = 10_000; // then a bar says so in words
const OLD_MS = 120_000; // figures turn grey
const GONE_MS = 900_000; // and are not known any more
const BLOCKED_MS = 60_000; // so long the server has not read its store
const POLL_MS = 15_000; // where there is no stream
const AGAIN_MS = LOST_MS + 5000 * Math.random(); // not all pages at the same moment
const SELDOM = -37; // where polling begins to count, so that it goes on for ten minutes
const UNKNOWN = "·";
const FULL = 0.8; // of the capacity
const LINE_FULL = 0.9; // of the uplink
// Of places, the worst first.
export const ORDER = ["offline", "off the air", "silent", "unknown", "partly", "online", "closed"];
const DOWN = ORDER.slice(0, 2); // nobody is served there
const UP = ["online", "partly"];

/** @typedef {Record<string, string | number | null>} Row  the columns of one subject */
/** An element that shows a subject, with those in it that show its marks and figures.
    @typedef {{element: any, uses: Element[], figures: any[]}} Shown */

/** @type {Map<string, Row>} by subject: city/NAME, site/NAME, router/NAME */
export const rows = new Map();
const listeners = [];
/** @type {Map<string, Shown[]>} by subject; the server drew them all, and none is added */
const shown = new Map();
const words = new Map();
const { lang } = document.documentElement;
const locale = lang === "id" ? "id-ID" : "en-GB";
const numbers = [0, 1].map(
  (digits) => new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits }),
);
let clocks = [];

// The server's time at a moment of the stopwatch; the wall clock only shows a sleep.
let base = { at: 0, heard: 0 };
let lastWall = Date.now();
let heard = -Infinity; // when the stream last brought anything, by the stopwatch
let seenAt = 0; // when the server last read its store, by its time
let mode = "connecting"; // live, polled, or not live
let lostAt = null;
let source = null;
let timer = 0;
let tried = 0; // when it last asked or heard, by the stopwatch
let turn = 0; // of asking; an answer to an earlier one is no answer
let isSilent = false; // the stream has brought neither a beat nor an error yet
let held = 0; // streams one after the other that brought none, while questions were answered
let agedAt = 0; // the second of the server's time whose ages are shown

/** Call it with the rows that changed, after the page shows them. */
export function onRows(listener) {
  listeners.push(listener);
}

/** The server's time, in milliseconds since 1970. */
export function now() {
  return base.at + performance.now() - base.heard;
}

/** Begin, if the page shows anything that lives. */
export function start() {
  const { now: at, zone } = document.body.dataset;
  if (!at || !document.querySelector("[data-subject], [data-renewed]")) return;
  for (const one of document.querySelectorAll("#words [data-key]")) words.set(one.dataset.key, one.textContent);
  for (const element of document.querySelectorAll("[data-subject]")) {
    const { subject } = element.dataset;
    shown.set(subject, [...(shown.get(subject) ?? []), partsOf(element)]);
  }
  clocks = ["day", "minute", "second"].map((least) => clockOf(zone, least));
  const [loaded] = performance.getEntriesByType("navigation");
  base = { at: Number(at), heard: loaded?.responseStart ?? 0 };
  seenAt = base.at;
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
  addEventListener("offline", () => quiet());
  addEventListener("online", open);
  setInterval(tick, 250);
  open();
}

/** What is in an element, but not in one of another subject. */
function partsOf(element) {
  const own = (selector) =>
    [...element.querySelectorAll(selector)].filter((one) => one.closest("[data-subject]") === element);
  return { element, uses: own(".mark use"), figures: own("[data-figure]") };
}

function open() {
  tried = performance.now();
  close();
  if (document.hidden) return;
  const of = document.body.dataset.of ?? "sites";
  source = new EventSource(`/events?of=${encodeURIComponent(of)}`);
  isSilent = true;
  source.addEventListener("snapshot", (event) => take(JSON.parse(event.data), true));
  source.addEventListener("now", (event) => take(JSON.parse(event.data), false));
  source.addEventListener("health", (event) => {
    isSilent = false;
    held = 0;
    beat(JSON.parse(event.data), "live");
  });
  source.addEventListener("resync", quiet);
  source.addEventListener("error", () => {
    isSilent = false; // the browser comes again by itself, each few seconds
    quiet();
    // But not where it got an answer that is no stream.
    if (source?.readyState === EventSource.CLOSED) poll();
  });
}

function close() {
  clearTimeout(timer);
  turn += 1;
  source?.close();
  source = null;
  quiet();
}

/** Nothing came for a while. Some lines let questions through and hold streams back, without an error:
    after a stream that brought nothing it asks, and after a second one tries for the next seldom. */
function again() {
  if (!source || !isSilent) return open();
  held += 1;
  poll(held > 1 ? SELDOM : 0);
}

/** Ask for snapshots, where all streams are taken; sometimes try for a stream again. */
async function poll(times = 0) {
  source?.close();
  source = null;
  tried = performance.now();
  const mine = (turn += 1);
  const of = document.body.dataset.of ?? "sites";
  const stop = new AbortController(); // phones of 2020 have no AbortSignal.timeout
  const patience = setTimeout(() => stop.abort(), LOST_MS);
  try {
    const answer = await fetch(`/events?once&of=${encodeURIComponent(of)}`, { signal: stop.signal });
    if (answer.status === 401) return location.reload();
    const { health, snapshot } = answer.ok ? await answer.json() : {};
    if (mine !== turn || !health) return;
    take(snapshot, true);
    beat(health, "polled");
    timer = setTimeout(() => (times % 3 === 2 ? open() : poll(times + 1)), POLL_MS);
  } catch {
    held = 0;
    if (mine === turn) quiet(); // no network
  } finally {
    clearTimeout(patience);
  }
}

function beat({ at, seen, blind, alerts, incidents }, how) {
  heard = performance.now();
  tried = heard;
  base = { at, heard };
  seenAt = seen;
  mode = how;
  document.querySelector('[data-bar="blind"]').hidden = !blind;
  countAlerts(alerts ?? 0);
  // At each beat, until the page shows what they are now: an answer may fail.
  const version = document.body.dataset.incidents;
  if (version && incidents && version !== incidents) for (const one of listeners) one(new Map([["alerts", null]]));
  tick();
}

/** Beside the link to the page of alerts. @param {number} open */
function countAlerts(open) {
  const count = /** @type {HTMLElement | null} */ (document.querySelector("[data-alerts]"));
  if (!count) return;
  count.hidden = !open;
  count.firstElementChild.textContent = `${open}`;
}

/** From now on the page does not look live, until the next beat. */
function quiet() {
  heard = -Infinity;
  tick();
}

/** Four times a second: how live is the page, and, once a second, how old is what it shows. */
function tick() {
  const wall = Date.now();
  if (Math.abs(wall - lastWall) > 5000) heard = tried = -Infinity; // slept, or somebody set the clock
  lastWall = wall;
  const patience = mode === "polled" ? POLL_MS + STALE_MS : STALE_MS;
  const isHeard = performance.now() - heard <= patience;
  const isLive = isHeard && now() - seenAt < BLOCKED_MS;
  lostAt = isLive ? null : (lostAt ?? now());
  showState(isLive);
  const second = Math.floor(now() / 1000);
  if (second !== agedAt) showAges();
  agedAt = second;
  if (!isHeard && performance.now() - tried > AGAIN_MS && !document.hidden) again();
}

function showState(isLive) {
  const mark = document.querySelector("[data-live]");
  const isLost = lostAt !== null && now() - lostAt > LOST_MS;
  const state = isLive ? mode : isLost ? "lost" : "waiting";
  const word = { live: "live", polled: "every 15 s" }[state] ?? "waiting";
  if (mark) {
    if (mark.dataset.live !== state) mark.dataset.live = state;
    write(mark, `${words.get(word)} ${isLive ? clocks[2](now()) : ""}`.trim());
  }
  const bar = document.querySelector('[data-bar="lost"]');
  bar.hidden = !isLost;
  if (isLost) write(bar, words.get("lost").replace("{time}", clocks[1](lostAt)));
}

function showAges() {
  for (const one of document.querySelectorAll("[data-since]")) write(one, since(Number(one.dataset.since)));
  for (const one of document.querySelectorAll("[data-age]")) {
    write(one, words.get("ago").replace("{length}", length(now() - Number(one.dataset.age))));
  }
  const at = now();
  let isOther = false;
  for (const [subject, parts] of shown) {
    for (const one of parts) {
      const row = rows.get(subject);
      const taken = row && !row.at ? base.at : one.element.dataset.at; // what is away has no figures
      if (taken && wither(one, at - Number(taken), row)) isOther = true;
    }
  }
  if (isOther) tell(new Map());
}

/** Show how old an element's figures are; true: it shows another state. */
function wither(one, age, row) {
  const { element } = one;
  element.classList.toggle("old", age > OLD_MS);
  const isGone = age > GONE_MS;
  if (isGone === (element.dataset.gone === "yes")) return false;
  element.dataset.gone = isGone ? "yes" : "no";
  if (isGone) paint(one, { state: "unknown" });
  else if (row) paint(one, row);
  return true;
}

/** Rows of a message: all there are, or those that changed. */
function take(message, isWhole) {
  const { number: _, subjects, ...columns } = message;
  if (isWhole) rows.clear();
  const changed = new Map();
  subjects.forEach((subject, n) => {
    const row = Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[n]]));
    rows.set(subject, row);
    changed.set(subject, row);
  });
  for (const [subject, row] of changed) for (const one of shown.get(subject) ?? []) paint(one, row);
  tell(changed);
}

/** Count again, and let the others know. */
function tell(changed) {
  count();
  for (const listener of listeners) listener(changed);
}

/** The row of a place as the page shows it: of one whose figures are gone nothing is known. */
function seen(subject) {
  const row = rows.get(subject);
  const isGone = shown.get(subject)?.[0].element.dataset.state === "unknown";
  return row && isGone ? { state: "unknown", coverage: null, routers_known: row.routers_known } : row;
}

/** How many places are in each state, and the sums of those that stand together. */
export function count() {
  if (!rows.size) return; // what the server counted stays
  const everywhere = [...rows.keys()].filter((subject) => subject.startsWith("site/")).map(seen);
  const within = new Map([[null, everywhere]]);
  for (const scope of document.querySelectorAll("[data-sums]")) within.set(scope, membersOf(scope));
  for (const one of document.querySelectorAll("[data-count]")) {
    const members = within.get(one.closest("[data-sums]"));
    const state = one.dataset.count;
    const wanted = state === "up" ? UP : [state];
    const fits = state === "all" ? members : members.filter((row) => wanted.includes(row.state));
    write(one, numbers[0].format(fits.length));
  }
  for (const one of document.querySelectorAll("[data-sum]")) {
    figure(one, SUMS[one.dataset.sum](within.get(one.closest("[data-sums]")), one.dataset.sum));
  }
  for (const one of document.querySelectorAll("[data-groups] > *")) wear(one);
}

/** The rows of the places in an element; one that stands there twice counts once. */
function membersOf(element) {
  const hasOnlyFound = element.dataset.sums === "found"; // by a search
  const cards = element.querySelectorAll(`.place[data-subject]${hasOnlyFound ? ":not([data-misses])" : ""}`);
  const subjects = new Set([...cards].map((one) => one.dataset.subject));
  return [...subjects].map(seen).filter(Boolean);
}

/** A group shows how its places are together. */
function wear(group) {
  const cards = [...group.querySelectorAll(".place[data-rank]")];
  if (!cards.length) return;
  const { state, worst, down, number } = together(cards.map((one) => one.dataset.state));
  const mark = markOf(state);
  group.dataset.devices = sum(membersOf(group), "clients") ?? 0;
  group.dataset.rank = -down / cards.length || Math.min(...cards.map((one) => one.dataset.rank));
  group.className = `group state-${mark}`;
  group.querySelector("summary use").setAttribute("href", `#mark-${mark}`);
  group.querySelector("summary .mark").setAttribute("class", `mark state-${mark}`);
  const isAlike = worst === "online" || number === cards.length;
  const word = isAlike ? words.get(worst) : words.get(down ? "some down" : "some");
  const numbered = word.replace("{number}", whole(number)).replace("{all}", whole(cards.length));
  write(group.querySelector("[data-worst]"), numbered.replace("{state}", words.get(worst)));
}

/** The name of a state's shape and colour. @param {string} state @returns {string} */
export const markOf = (state) => (state === "off the air" ? "off-air" : state);

/** How places look that stand together, in the list and on the map, as place_groups.py has it: one
    that is away does not make a district look dead. `number` are down, or in the worst state.
    @param {string[]} states @returns {{state: string, worst: string, down: number, number: number}} */
export function together(states) {
  const sorted = [...states].sort((one, other) => ORDER.indexOf(one) - ORDER.indexOf(other));
  const opened = states.filter((one) => one !== "closed").length;
  const half = sorted[Math.max(0, Math.ceil(opened / 2) - 1)];
  const [worst] = sorted;
  const down = states.filter((one) => DOWN.includes(one)).length;
  const number = down || states.filter((one) => one === worst).length;
  return { state: half === "online" && worst !== half ? "partly" : half, worst, down, number };
}

/** Of what is known; null: nothing is. */
function sum(members, name) {
  const known = members.map((row) => row[name]).filter((one) => one !== null && one !== undefined);
  return known.length ? known.reduce((all, one) => all + one, 0) : null;
}

const SUMS = {
  clients: (members, name) => whole(sum(members, name)),
  wifi_down_bps: (members, name) => rate(sum(members, name)),
  wifi_up_bps: (members, name) => rate(sum(members, name)),
  /** Of all routers; one without any counts as zero. */
  coverage: (members) => {
    const known = members.filter((row) => row.coverage !== null).map((row) => ({ part: row.coverage * row.routers_known }));
    return percent(known.length ? sum(known, "part") / sum(members, "routers_known") : null);
  },
};

/** Show a row in an element and its parts. */
function paint({ element, uses, figures }, row) {
  if (row.at) element.dataset.at = row.at;
  element.dataset.rank = rank(element, row);
  element.dataset.devices = row.clients ?? -1;
  if (element.dataset.state !== row.state) dress(element, uses, row.state);
  for (const one of figures) FIGURES[one.dataset.figure]?.(one, row, element);
}

/** Give an element the colour and the mark of a state. */
function dress(element, uses, state) {
  const mark = markOf(state);
  element.dataset.state = state;
  for (const name of [...element.classList]) if (name.startsWith("state-")) element.classList.remove(name);
  element.classList.add(`state-${mark}`);
  for (const use of uses) {
    use.setAttribute("href", `#mark-${mark}`);
    use.parentNode.setAttribute("class", `mark state-${mark}`);
  }
}

function rank(element, row) {
  const place = ORDER.indexOf(row.state);
  if (place < ORDER.indexOf("online")) return place;
  if (row.state !== "online") return 9;
  return isFull(element, row) ? 7 : 8;
}

const load = (element, row) => share(row.clients, element.dataset.capacity);
const lineLoad = (element, row) => share(Math.max(row.uplink_down_bps ?? -1, row.uplink_up_bps ?? -1), element.dataset.line * 1e6);
const isFull = (element, row) => load(element, row) >= FULL || lineLoad(element, row) >= LINE_FULL;

function share(number, of) {
  return number === null || number === undefined || number < 0 || !(of > 0) ? null : number / of;
}

const FIGURES = {
  state: (one, row) => write(one, words.get(row.state)),
  cause: (one, row) => write(one, row.cause && row.state !== "online" ? words.get(`cause ${row.cause}`) : ""),
  since: (one, row) => {
    if (row.since && row.state !== "online") one.dataset.since = row.since;
    else delete one.dataset.since;
    write(one, one.dataset.since ? since(row.since) : "");
  },
  routers: (one, row) => {
    if (row.routers_known === undefined) return;
    one.hidden = row.routers_known < 2;
    write(one, words.get("routers").replace("{online}", whole(row.routers_online)).replace("{known}", whole(row.routers_known)));
  },
  age: (one, row) => {
    if (row.at) one.dataset.age = row.at;
    else if (!one.dataset.age) figure(one, UNKNOWN);
  },
  /** What was, once nothing is known of now. */
  last: (one, row) => {
    if (row.at) Object.assign(one.dataset, { taken: row.at, devices: row.clients ?? "" });
    const { taken, devices } = one.dataset;
    one.hidden = Boolean(row.at) || !taken;
    if (one.hidden) return;
    const text = words.get("last report").replace("{time}", timeOrDay(Number(taken), clocks[2]));
    write(one, text.replace("{devices}", whole(devices ? Number(devices) : null)));
  },
  coverage: (one, row) => figure(one, percent(row.coverage)),
  load: (one, row, element) => bar(one, load(element, row), FULL, (part) => words.get(part >= 1 ? "over capacity" : "of capacity")
    .replace("{share}", percent(part)).replace("{capacity}", whole(Number(element.dataset.capacity)))),
  line_load: (one, row, element) => bar(one, lineLoad(element, row), LINE_FULL, (part) =>
    part >= 1 ? words.get("line full") : words.get("line").replace("{share}", percent(part))),
};
for (const name of ["clients", "active"]) FIGURES[name] = (one, row) => figure(one, whole(row[name]));
for (const name of ["wifi_down_bps", "wifi_up_bps", "uplink_down_bps", "uplink_up_bps"]) {
  FIGURES[name] = (one, row) => figure(one, rate(row[name]));
}

function figure(one, text) {
  if (!write(one, text)) return;
  if (text === UNKNOWN) one.title = words.get("unknown");
  else one.removeAttribute("title");
}

function bar(one, part, limit, say) {
  one.classList.toggle("full", part !== null && part >= limit);
  if (part === null) one.replaceChildren();
  else drawBar(one, part, limit, say(part));
  one.parentNode.hidden = !one.parentNode.textContent.trim();
}

function drawBar(one, part, limit, text) {
  let drawn = one.querySelector("svg");
  if (!drawn) {
    drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    drawn.setAttribute("viewBox", "0 0 100 4");
    drawn.setAttribute("preserveAspectRatio", "none");
    drawn.setAttribute("aria-hidden", "true");
    drawn.append(document.createElementNS("http://www.w3.org/2000/svg", "rect"));
    drawn.firstChild.setAttribute("height", 4);
    one.replaceChildren(drawn, "");
  }
  drawn.setAttribute("class", part >= limit ? "share full" : "share");
  drawn.firstElementChild.setAttribute("width", Math.min(100, Math.round(part * 1000) / 10));
  if (one.lastChild.data !== ` ${text}`) one.lastChild.data = ` ${text}`;
}

/** False: it is written there already. */
function write(element, text) {
  const isOther = element.textContent !== text;
  if (isOther) element.textContent = text;
  return isOther;
}

/* As titik_collector.languages.language writes them; a test compares both. */

export function whole(number) {
  return number === null || number === undefined ? UNKNOWN : numbers[0].format(number);
}

export function percent(part) {
  if (part === null || part === undefined) return UNKNOWN;
  const rounded = Math.round(part * 100);
  return `${rounded === 100 && part < 1 ? 99 : rounded}%`;
}

export function rate(bps) {
  if (bps === null || bps === undefined) return UNKNOWN;
  for (const [size, unit] of [[1e9, "Gb/s"], [1e6, "Mb/s"], [1e3, "kb/s"], [1, "b/s"]]) {
    if (bps < size * 0.9995) continue;
    const scaled = bps / size;
    return `${numbers[scaled < 9.95 && size > 1 ? 1 : 0].format(scaled)} ${unit}`;
  }
  return "0 b/s";
}

export function length(ms) {
  const units = words.get("units").split(" ");
  let left = Math.max(0, Math.floor(ms / 1000));
  const found = [];
  for (const [n, size] of [86_400, 3600, 60, 1].entries()) {
    if (left >= size) found.push(`${Math.floor(left / size)} ${units[n]}`);
    else if (found.length) break;
    left %= size;
  }
  // Seconds say nothing of what lasts for minutes.
  return found.slice(0, found[0]?.endsWith(units[2]) ? 1 : 2).join(" ") || `0 ${units[3]}`;
}

function since(at) {
  return words.get("since").replace("{time}", timeOrDay(at, clocks[1])).replace("{length}", length(now() - at));
}

function timeOrDay(at, clock) {
  return clocks[0](at) === clocks[0](now()) ? clock(at) : `${clocks[0](at)} ${clock(at)}`;
}

function clockOf(zone, least) {
  const fields = { day: { day: "numeric", month: "short" } }[least] ?? {
    hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(least === "second" && { second: "2-digit" }),
  };
  const clock = new Intl.DateTimeFormat(locale, { timeZone: zone, ...fields });
  return (at) => clock.format(at);
}
