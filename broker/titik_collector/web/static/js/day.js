/* The last day of the city, or of the place that somebody chose in the list or on the map.

   Rule: what is chosen is in the address, as `place`.
   Rule: the chart is drawn again every few minutes, so that it never stands for a day that is over. */

import { mount as draw } from "./chart.js";
import { put } from "./main.js";

const AGAIN_MS = 300_000;
const REST_MS = 300; // who tabs through the list does not ask for every place

/** @param {HTMLElement} section */
export function mount(section) {
  const figure = /** @type {HTMLElement} */ (section.querySelector("figure"));
  const blank = /** @type {HTMLElement} */ (figure.cloneNode(true));
  const whole = /** @type {HTMLAnchorElement} */ (section.querySelector(".day-city"));
  const title = /** @type {HTMLAnchorElement} */ (section.querySelector(".day-title"));
  let shown = figure.dataset.subjects ?? "";
  let timer = 0;

  /** @param {string} subject @param {string} name */
  function show(subject, name) {
    shown = subject;
    const next = /** @type {HTMLElement} */ (blank.cloneNode(true));
    next.dataset.subjects = subject;
    section.querySelector("figure")?.replaceWith(next);
    title.textContent = name;
    title.href = `/history?s=${subject}`;
    whole.hidden = subject === whole.dataset.subjectOf;
    mark(subject);
    return draw(next);
  }

  /** @param {string} subject @param {string} name */
  function choose(subject, name) {
    clearTimeout(timer);
    if (subject === shown) return;
    put("place", subject.startsWith("site/") ? subject.slice("site/".length) : "");
    show(subject, name);
  }

  /** @param {Event} event */
  function follow(event) {
    const found = of(event.target);
    clearTimeout(timer);
    if (found) timer = setTimeout(() => choose(...found), REST_MS);
  }

  for (const part of document.querySelectorAll(".list, [data-map]")) part.addEventListener("focusin", follow);
  document.querySelector(".list")?.addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target);
    const found = target.closest("a, summary, button, input") ? null : of(target);
    if (found) choose(...found);
  });
  whole.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    choose(whole.dataset.subjectOf ?? "", whole.dataset.title ?? "");
  });
  setInterval(() => {
    if (!document.hidden) show(shown, title.textContent ?? "");
  }, AGAIN_MS);
  mark(shown);
  return draw(figure);
}

/** The place that an element stands for, as its subject and its title.
    @param {EventTarget | null} target @returns {[string, string] | null} */
function of(target) {
  const element = /** @type {Element} */ (target);
  const card = /** @type {HTMLElement | null} */ (element.closest(".place[data-subject]"));
  if (card) return [card.dataset.subject ?? "", card.dataset.title ?? ""];
  const pin = element.closest("a.pin");
  const name = pin?.querySelector(".pin-name")?.textContent ?? "";
  return pin ? [(pin.getAttribute("href") ?? "").slice(1), name] : null;
}

/** @param {string} subject */
function mark(subject) {
  for (const one of document.querySelectorAll(".place[data-subject]")) {
    one.classList.toggle("chosen", /** @type {HTMLElement} */ (one).dataset.subject === subject);
  }
}
