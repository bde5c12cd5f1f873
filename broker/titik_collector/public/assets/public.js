/* A page that is old says so. It is a file: whoever stopped writing it, it looks as it did.

   How late it is now says the server that the page comes from, because the clock of a reader's device
   may be wrong. Where no server answers, as without a network, the device's clock has to do; so the
   words are "may be old". */

const LOOK_MS = 60_000;
const bar = document.querySelector("[data-made]");
let aheadMs = 0; // how far the server's clock is ahead of the device's

/** How far the server's clock is ahead of the device's; 0 where it does not answer. */
async function ahead() {
  try {
    const { headers } = await fetch(location.href, { method: "HEAD", cache: "no-store" });
    const at = Date.parse(headers.get("date") ?? "");
    const kept = Number(headers.get("age") ?? 0) * 1000; // in a cache between it and us
    return Number.isNaN(at) ? 0 : at + kept - Date.now();
  } catch {
    return 0;
  }
}

/** Show or hide what says that the page is old; its colours are those of what is not known. */
function look() {
  const isOld = Date.now() + aheadMs - Number(bar.dataset.made) > Number(bar.dataset.oldMs);
  bar.hidden = !isOld;
  document.documentElement.classList.toggle("is-old", isOld);
}

if (bar) {
  ahead().then((ms) => {
    aheadMs = ms;
    look();
    setInterval(look, LOOK_MS);
    document.addEventListener("visibilitychange", look);
  });
}
