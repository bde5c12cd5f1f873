/* Scenes take turns, but for one that has nothing to show now, and the picture moves by a few pixels each minute, so that nothing burns in.
   Of places without room on the screen, a line shows how many are in each state. */

import { ORDER, onRows } from "./live.js";
import { count, word } from "./past.js";

const SHIFT_MS = 60_000;
const SHIFTS = 4;

/** @param {HTMLElement} scenes  its `data-wall` is the seconds of a scene */
export function mount(scenes) {
  const all = [...scenes.children];
  let turn = 0;
  const show = () => {
    while (!all[turn % all.length].childElementCount) turn += 1; // the city's figures are always there
    all.forEach((one, n) => one.classList.toggle("current", n === turn % all.length));
  };
  document.body.classList.add("turning");
  show();
  onRows(show); // the last incident may end while it is shown
  setInterval(() => {
    turn += 1;
    show();
    dispatchEvent(new Event("resize")); // a map that was not seen has no size yet
  }, Number(scenes.dataset.wall) * 1000);
  let shift = 0;
  setInterval(() => {
    document.body.classList.remove(`shift-${shift}`);
    shift = (shift + 1) % SHIFTS;
    document.body.classList.add(`shift-${shift}`);
  }, SHIFT_MS);
  const rest = /** @type {HTMLElement} */ (scenes.querySelector("[data-rest]"));
  onRows(() => countRest(rest));
  countRest(rest); // of what came before this was here; without a line nothing else comes
}

/** As wall.html has it, of those that stand behind the first now. @param {HTMLElement} rest */
function countRest(rest) {
  const list = /** @type {HTMLElement} */ (rest.previousElementSibling);
  const places = /** @type {HTMLElement[]} */ ([...list.children]).slice(Number(rest.dataset.rest));
  const states = places.map((one) => one.dataset.state ?? "unknown");
  const each = ORDER.filter((state) => states.includes(state)).map(
    (state) => `${count(states.filter((one) => one === state).length)} ${word(state)}`,
  );
  rest.hidden = !places.length;
  rest.textContent = word("and more").replace("{number}", count(places.length)).replace("{states}", each.join(", "));
}
