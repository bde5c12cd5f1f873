/* What every page loads. Each part looks whether its elements are there; without it the page is
   whole too. Parts that are large are fetched only where the page has something for them. */

import { count, onRows, start, whole } from "./live.js";

const FEW = 30; // places: so many are shown of many, and if no more are found, groups open
const { compare } = new Intl.Collator(document.documentElement.lang, { numeric: true });

const ORDERS = {
  problems: (a, b) => a.dataset.rank - b.dataset.rank || byTitle(a.dataset.title, b.dataset.title),
  devices: (a, b) => b.dataset.devices - a.dataset.devices || byTitle(a.dataset.title, b.dataset.title),
};
const ARRIVED_MS = 5000; // until the map of a slow line has its size
const RENEW_MS = 15_000; // between two times that the page is asked for a section
const STEADY_MS = 60_000; // devices come and go each second, and a list that moves is not read

start();
const lists = [...document.querySelectorAll("[data-place-list]")];
const groups = document.querySelector("[data-groups]");
const sortedAt = new Map([...lists, groups].map((list) => [list, performance.now()]));
onRows(() => [...lists, groups].filter(Boolean).forEach(sort));
if (lists.length && document.querySelector("[data-search]")) choose();
for (const one of document.querySelectorAll(".chips [aria-current], .past-chips [aria-current]")) {
  const row = one.parentElement; // which a phone shows a part of
  row.scrollLeft = one.offsetLeft + one.offsetWidth + 48 - row.offsetLeft - row.clientWidth;
}
for (const link of document.querySelectorAll('a[href="#map"]')) {
  link.addEventListener("click", () => arrive(document.querySelector("#map")));
}
for (const scenes of document.querySelectorAll("[data-wall]")) {
  import("./wall.js").then((wall) => wall.mount(scenes));
}
const renewed = [...document.querySelectorAll("[data-renewed]")].map((one) => one.dataset.renewed);
new Set(renewed).forEach(follow);
for (const section of document.querySelectorAll("[data-day]")) {
  section.hidden = false; // before the map takes its size
  section.closest(".columns").classList.add("has-day");
  document.querySelector('.skip[href="#day"]').hidden = false;
  whenSeen(section, async () => (await import("./day.js")).mount(section));
}
for (const section of document.querySelectorAll("[data-map]")) {
  whenSeen(section, async () => (await import("./map.js")).mount(section));
}
for (const figure of document.querySelectorAll("[data-chart]")) {
  if (!figure.closest("[data-day]")) whenSeen(figure, async () => (await import("./chart.js")).mount(figure));
}
for (const figure of document.querySelectorAll("[data-heat]")) {
  whenSeen(figure, async () => (await import("./heat.js")).mount(figure));
}

/** Sections that no stream brings, as new as the live figures beside them: the page is asked again when
    their subject changed, and what differs in them is put in its place.
    @param {string} subject */
function follow(subject) {
  const within = (page) => [...page.querySelectorAll(`[data-renewed="${subject}"]`)];
  let asked = performance.now(); // for the page itself
  let timer = 0;
  onRows((changed) => {
    if (!changed.has(subject)) return;
    clearTimeout(timer);
    timer = setTimeout(ask, asked + RENEW_MS - performance.now());
  });

  async function ask() {
    if (document.hidden) return; // who comes back gets a snapshot, and that asks
    asked = performance.now();
    const url = new URL(location.href);
    url.searchParams.set("renewed", subject); // a page that has no such part answers whole
    const answer = await fetch(url).catch(() => null);
    if (!answer?.ok) return; // the next sample asks again
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [sections, fresh] = [within(document), within(page)];
    if (fresh.length !== sections.length) return;
    sections.forEach((one, n) => replace(one, fresh[n]));
    const { incidents } = page.body.dataset;
    if (incidents) document.body.dataset.incidents = incidents;
  }
}

/** The section itself stays, with its attributes. @param {HTMLElement} section @param {HTMLElement} fresh */
function replace(section, fresh) {
  const after = [...fresh.childNodes];
  const before = [...section.childNodes];
  if (before.length === after.length) before.forEach((one, n) => renew(one, after[n]));
  else section.replaceChildren(...after);
}

/** What did not change stays as it is, with its focus, its scroll and what is selected.
    @param {Node} old @param {Node} fresh */
function renew(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
  const isAlike = old.cloneNode(false).isEqualNode(fresh.cloneNode(false)) && before.length === after.length;
  if (isAlike) before.forEach((one, n) => renew(one, after[n]));
  else /** @type {ChildNode} */ (old).replaceWith(fresh);
}

/** Keep something in the address, and in the links to another view of the same. */
export function put(name, value) {
  const changed = (address) => {
    const url = new URL(address);
    if (value) url.searchParams.set(name, value);
    else url.searchParams.delete(name);
    return url.href.replaceAll("%2F", "/");
  };
  history.replaceState(history.state, "", changed(location.href));
  for (const link of document.querySelectorAll("a[data-keeps]")) link.href = changed(link.href);
}

/** Cards have their height when they come near, which moves what is below them: the page follows it
    until it stands still, or the reader goes on. */
function arrive(target) {
  const growing = new ResizeObserver(() => target.scrollIntoView());
  const stop = () => growing.disconnect();
  growing.observe(document.body);
  setTimeout(stop, ARRIVED_MS);
  for (const act of ["wheel", "touchstart", "pointerdown", "keydown"]) {
    addEventListener(act, stop, { once: true, passive: true });
  }
}

/** Do something when an element comes near the window, once. */
function whenSeen(element, act) {
  const seeing = new IntersectionObserver(
    (entries) => {
      if (!entries.some((one) => one.isIntersecting)) return;
      seeing.disconnect();
      act().catch(() => {}); // no line now; what the server drew stays
    },
    { rootMargin: "200px" },
  );
  seeing.observe(element);
}

/** The list of places: search, one state, and the worst first, all in the address. */
function choose() {
  const search = document.querySelector("[data-search]");
  const chips = [...document.querySelectorAll("[data-filter]")];
  const state = () => new URL(location.href).searchParams.get("state") ?? "";
  const cards = lists.flatMap((list) => [...list.children]).map((place) => {
    const { title, subject } = place.dataset;
    return { place, subject, text: `${title} ${subject.slice("site/".length)}`.toLowerCase() };
  });
  const pins = [...document.querySelectorAll(".map-place")];

  function show() {
    const words = search.value.toLowerCase().split(/\s+/);
    const only = state();
    const found = new Set();
    let shown = 0;
    for (const { place, subject, text } of cards) {
      const isFound = words.every((one) => text.includes(one));
      const isShown = isFound && (!only || place.dataset.state === only);
      place.toggleAttribute("data-misses", !isFound);
      place.toggleAttribute("hidden", !isShown);
      if (isShown) found.add(subject);
      shown += isShown;
    }
    for (const one of pins) one.toggleAttribute("hidden", !found.has(one.dataset.subject));
    lists.forEach(trim);
    for (const group of groups?.children ?? []) group.hidden = !group.querySelector(".place:not([hidden])");
    document.querySelector("[data-none]").hidden = shown > 0;
    return shown;
  }

  function keep(name, value) {
    put(name, value);
    const isFew = show() <= FEW;
    count();
    offer();
    for (const group of groups?.children ?? []) group.open ||= isFew;
  }

  for (const more of document.querySelectorAll("[data-all]")) {
    more.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      put("all", "yes");
      for (const list of lists) {
        list.classList.add("all");
        trim(list);
      }
    });
  }
  search.form.addEventListener("submit", (event) => event.preventDefault());
  search.addEventListener("input", () => keep("q", search.value.trim()));
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
    }
  });
  for (const chip of chips) {
    chip.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      keep("state", chip.dataset.filter);
      for (const one of chips) {
        if (one === chip) one.setAttribute("aria-current", "true");
        else one.removeAttribute("aria-current");
      }
    });
  }
  function offer() {
    for (const chip of chips) {
      const isNone = chip.querySelector("[data-count]").textContent === "0";
      chip.hidden = chip.dataset.filter !== "" && chip.dataset.filter !== state() && isNone;
    }
  }

  onRows(() => {
    offer();
    show();
  });
}

/** Of many places only the first that fit are shown; the link below leads to all. */
function trim(list) {
  const more = list.nextElementSibling?.querySelector("[data-all]");
  if (!more) return;
  const isWhole = list.classList.contains("all");
  let shown = 0;
  for (const one of list.children) {
    shown += one.hidden ? 0 : 1;
    one.classList.toggle("late", !isWhole && !one.hidden && shown > FEW);
  }
  more.parentElement.hidden = isWhole || shown <= FEW;
  more.querySelector("[data-fit]").textContent = whole(shown);
}

/** In the order that was chosen; the element that has the focus keeps it. */
function sort(list) {
  const order = ORDERS[list.dataset.sort ?? "problems"];
  // Nothing moves away under the pointer of somebody who is about to choose it.
  if (!order || list.matches(":hover")) return;
  const before = [...list.children];
  const isInOrder = (by) => before.every((one, n) => !n || by(before[n - 1], one) <= 0);
  if (isInOrder(order)) return;
  const isUrgent = order === ORDERS.problems && !isInOrder((a, b) => urgency(a) - urgency(b));
  if (!isUrgent && performance.now() - sortedAt.get(list) < STEADY_MS) return;
  sortedAt.set(list, performance.now());
  const focused = document.activeElement;
  settle(list, before.sort(order));
  if (list.contains(focused)) focused.focus({ preventScroll: true });
}

/** What goes away or comes back moves at once; a place that is almost full is so now and then. */
function urgency({ dataset: { rank } }) {
  return Number(rank) === 7 ? 8 : Number(rank);
}

/** Put the elements of a list in this order, and move none that need not: each is drawn again. */
function settle(list, wanted) {
  let at = list.firstElementChild;
  for (const one of wanted) {
    if (at !== one && at.nextElementSibling === one) list.append(at); // its turn comes later
    else if (at !== one) list.insertBefore(one, at);
    at = one.nextElementSibling;
  }
}

/** As the server sorts titles; what has none comes last. */
function byTitle(one, other) {
  return !one - !other || compare(one, other);
}
