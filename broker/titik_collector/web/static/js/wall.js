/* Scenes take turns, and the picture moves by a few pixels each minute, so that nothing burns in. */

const SHIFT_MS = 60_000;
const SHIFTS = 4;

/** @param {HTMLElement} scenes  its `data-wall` is the seconds of a scene */
export function mount(scenes) {
  const all = [...scenes.children];
  let turn = 0;
  const show = () => all.forEach((one, n) => one.classList.toggle("current", n === turn % all.length));
  scenes.classList.add("turning");
  show();
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
}
