/* What every page loads: the parts that its elements ask for. */

for (const section of document.querySelectorAll("[data-map]")) {
  whenSeen(section, async () => (await import("./map.js")).mount(section));
}

/** Do something when an element comes near the window, once. */
function whenSeen(element, act) {
  const seeing = new IntersectionObserver(
    (entries) => {
      if (!entries.some((one) => one.isIntersecting)) return;
      seeing.disconnect();
      act();
    },
    { rootMargin: "200px" },
  );
  seeing.observe(element);
}
