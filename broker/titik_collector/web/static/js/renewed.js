/* A section that no stream brings, as new as the live figures beside it: the page is asked again
   when its subject changed, and what differs in the section is put in its place.

   Rule: what did not change stays as it is, with its focus, its scroll and what is selected. */

import { onRows } from "./live.js";

const RENEW_MS = 15_000;

/** Follow the subject of a section. @param {HTMLElement} section */
export function mount(section) {
  let asked = performance.now(); // for the page itself
  let timer = 0;
  onRows((changed) => {
    if (!changed.has(section.dataset.renewed)) return;
    clearTimeout(timer);
    timer = setTimeout(ask, asked + RENEW_MS - performance.now());
  });

  async function ask() {
    if (document.hidden) return; // who comes back gets a snapshot, and that asks
    asked = performance.now();
    const answer = await fetch(location.href).catch(() => null);
    if (!answer?.ok) return; // the next sample asks again
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("[data-renewed]");
    if (fresh) renew(section, fresh);
  }
}

/** @param {Node} old @param {Node} fresh */
function renew(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
  const isAlike = old.cloneNode(false).isEqualNode(fresh.cloneNode(false)) && before.length === after.length;
  if (isAlike) before.forEach((one, n) => renew(one, after[n]));
  else /** @type {ChildNode} */ (old).replaceWith(fresh);
}
