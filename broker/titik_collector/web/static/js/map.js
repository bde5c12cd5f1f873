/* The map that moves: Leaflet in the place of the server's drawing.

   The drawing stays, hidden, and stays the source: live.js changes its places, and what changes
   there is copied to the pins. So a place has one state on the page, and the map needs no data of
   its own. */

import { ORDER, markOf, together } from "./live.js";
import { put } from "./main.js";
import { ask, library } from "./past.js";

const CROWD = 300; // places in view; more are drawn as groups
const CELL = 96; // pixels of a group
const ROOM = 0.3; // of the map, that pins may cover with their figures; else they are marks alone
const APART = 4; // pixels between two pins
const ROUNDS = 80; // of pushing them apart
const NAMES_FROM = 14; // the zoom from which names have room
const REACH_KM = 30; // around the places, as far as the map can be moved
const DEGREE_KM = 111.2;
const CALM = matchMedia("(prefers-reduced-motion: reduce)").matches;

/** `state`, `clients` and `isHidden`: as the drawing had them when it was last looked at.
    @typedef {{anchor: SVGAElement, name: string, latlng: [number, number], pin: HTMLAnchorElement,
    marker: any, state: string, clients: string, isHidden: boolean}} Place */

/** Leaflet's own name for itself. @type {any} */
let L;

/** Put a map that moves into a section that holds the server's drawing.
    @param {HTMLElement} section */
export async function mount(section) {
  const drawing = /** @type {SVGSVGElement} */ (section.querySelector("svg"));
  await Promise.all([library("../vendor/leaflet.js"), library("../vendor/leaflet.css")]);
  L = /** @type {any} */ (window).L;
  const canvas = document.createElement("div");
  canvas.className = "map-canvas";
  canvas.setAttribute("role", "group");
  canvas.setAttribute("aria-label", drawing.getAttribute("aria-label") ?? "");
  drawing.before(canvas);
  const places = [...drawing.querySelectorAll("a[data-longitude]")].map(place);
  const map = leaflet(canvas, section, places);
  drawing.setAttribute("hidden", "");
  const credit = section.querySelector(".map-credit");
  credit?.remove();
  basemap(map, section, credit?.textContent ?? "");
  const draw = () => show(map, places, section);
  map.on("moveend resize", draw);
  draw();
  follow(drawing, places, draw);
}

/** A place of the drawing. @param {any} anchor @returns {Place} */
function place(anchor) {
  const { latitude, longitude } = anchor.dataset;
  const found = {
    anchor,
    name: part(anchor, "desc").textContent ?? "",
    latlng: /** @type {[number, number]} */ ([Number(latitude), Number(longitude)]),
    pin: document.createElement("a"),
    marker: null,
    state: "",
    clients: "",
    isHidden: false,
  };
  found.pin.href = anchor.getAttribute("href");
  found.pin.innerHTML =
    '<svg class="mark" aria-hidden="true"><use/></svg><span class="pin-count"></span>' +
    '<span class="pin-name"></span>';
  part(found.pin, ".pin-name").textContent = found.name;
  found.marker = L.marker(found.latlng, { icon: icon(found.pin), keyboard: false });
  copy(found);
  return found;
}

/** @param {HTMLElement} pin */
function icon(pin) {
  return L.divIcon({ className: "pin-holder", html: pin, iconSize: [0, 0] });
}

/** Give the pin what the drawing shows; false: that needs no new drawing of many, whose figures are
    not seen. @param {Place} one */
function copy(one) {
  const { anchor, pin } = one;
  const state = anchor.dataset.state ?? "unknown";
  const clients = part(anchor, '[data-figure="clients"]').textContent ?? "";
  const isHidden = anchor.hasAttribute("hidden");
  const isOther = state !== one.state || isHidden !== one.isHidden;
  if (clients !== one.clients) part(pin, ".pin-count").textContent = clients;
  if (state !== one.state) {
    wear(pin, state);
    pin.title = `${one.name}: ${part(anchor, "title").textContent}`;
    one.marker.setZIndexOffset(-ORDER.indexOf(state) * 1000);
  }
  Object.assign(one, { state, clients, isHidden });
  return isOther;
}

/** @param {HTMLElement} pin @param {string} state */
function wear(pin, state) {
  const shape = markOf(state);
  pin.className = `pin state-${shape}`;
  part(pin, "use").setAttribute("href", `#mark-${shape}`);
}

/** @param {Element} element @param {string} selector */
function part(element, selector) {
  return /** @type {Element} */ (element.querySelector(selector));
}

/** @param {HTMLElement} canvas @param {HTMLElement} section @param {Place[]} places */
function leaflet(canvas, section, places) {
  const all = L.latLngBounds(places.map((one) => one.latlng));
  const map = L.map(canvas, {
    attributionControl: false,
    fadeAnimation: !CALM,
    inertia: !CALM,
    markerZoomAnimation: !CALM,
    maxBounds: reach(all),
    maxBoundsViscosity: 1,
    maxZoom: 18,
    minZoom: 8,
    zoomAnimation: !CALM,
    zoomControl: false,
    zoomDelta: 0.5,
    zoomSnap: 0.25,
  });
  const { zoomIn, zoomOut } = section.dataset;
  L.control.zoom({ zoomInTitle: zoomIn, zoomOutTitle: zoomOut }).addTo(map);
  L.control.scale({ imperial: false, position: "topright" }).addTo(map); // below lies the credit
  L.control.attribution({ prefix: "Leaflet" }).addTo(map);
  const fit = () => {
    const beside = map.getSize().x > 600 ? 84 : 40; // of the buttons, where there is room
    map.fitBounds(all, { maxZoom: 16, paddingTopLeft: [beside, 40], paddingBottomRight: [40, 40] });
  };
  if (section.closest("[data-wall]")) map.on("resize", fit); // it had no size while it was not shown
  if (!recall(map)) fit();
  map.on("dragend zoomend", () => remember(map));
  return map;
}

/** @param {string} text */
function escaped(text) {
  const holder = document.createElement("span");
  holder.textContent = text;
  return holder.innerHTML;
}

/** The places and 30 km around. @param {any} bounds */
function reach(bounds) {
  const north = REACH_KM / DEGREE_KM;
  const east = north / Math.cos((bounds.getCenter().lat * Math.PI) / 180);
  const [low, high] = [bounds.getSouthWest(), bounds.getNorthEast()];
  return L.latLngBounds([low.lat - north, low.lng - east], [high.lat + north, high.lng + east]);
}

/** Go where the address says; false: it says nothing. @param {any} map */
function recall(map) {
  const said = new URLSearchParams(location.search).get("map") ?? "";
  const [zoom, latitude, longitude] = said.split("/").map(Number);
  if (![zoom, latitude, longitude].every(Number.isFinite)) return false;
  map.setView([latitude, longitude], zoom);
  return true;
}

/** The address of a page shows what the page shows. @param {any} map */
function remember(map) {
  const { lat, lng } = map.getCenter();
  put("map", [map.getZoom(), lat.toFixed(4), lng.toFixed(4)].join("/"));
}

/** What lies under the places, and whose it is: streets, else the file, else a grid.
    @param {any} map @param {HTMLElement} section @param {string} credit  of the file */
async function basemap(map, section, credit) {
  const { streets: url, streetsCredit = "" } = section.dataset;
  const hasStreets = Boolean(url) && (await streets(map, section).catch(() => false));
  map.attributionControl.addAttribution(escaped(hasStreets ? streetsCredit : credit));
  if (hasStreets) return;
  if (!section.dataset.basemap) {
    const grid = L.layerGroup().addTo(map);
    const draw = () => graticule(map, grid);
    map.on("moveend resize", draw);
    draw();
    return;
  }
  const shapes = await ask(section.dataset.basemap).catch(() => null);
  if (!shapes) return; // without a network the places are where they are, on plain ground
  L.geoJSON(shapes, {
    interactive: false,
    pointToLayer: () => L.layerGroup(), // a point of the file is no place of ours
    style: (/** @type {any} */ one) => ({
      className: one.geometry.type.includes("Line") ? "map-line" : "map-land",
      fillOpacity: 1,
      weight: 1,
    }),
  }).addTo(map);
}

/** An operator's own streets, in the page's light or dark; only the parts in view are fetched.
    False: the file is not there, or its parts are not.
    @param {any} map @param {HTMLElement} section */
async function streets(map, section) {
  const { streets: url = "", streetsZoom } = section.dataset;
  const head = await fetch(url, { cache: "no-store", headers: { Range: "bytes=0-6" } });
  if (head.status !== 206) return false;
  await library("../vendor/protomaps-leaflet.js");
  const { leafletLayer } = /** @type {any} */ (window).protomapsL;
  const { lang } = document.documentElement;
  const given = { attribution: "", lang, maxDataZoom: Number(streetsZoom), url };
  /** @type {any} */ let layer;
  const draw = () => {
    layer?.remove();
    const flavor = getComputedStyle(document.documentElement).colorScheme;
    layer = leafletLayer({ ...given, flavor, className: `map-streets is-${flavor}` }).addTo(map);
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  return true;
}

/** About four lines each way, at round degrees. @param {any} map @param {any} grid */
function graticule(map, grid) {
  const bounds = map.getBounds();
  const [west, east] = [bounds.getWest(), bounds.getEast()];
  const [south, north] = [bounds.getSouth(), bounds.getNorth()];
  const step = round((east - west) / 4);
  const style = { className: "map-grid", interactive: false, weight: 1 };
  grid.clearLayers();
  for (let x = Math.ceil(west / step) * step; x < east; x += step) {
    grid.addLayer(L.polyline([[south, x], [north, x]], style));
  }
  for (let y = Math.ceil(south / step) * step; y < north; y += step) {
    grid.addLayer(L.polyline([[y, west], [y, east]], style));
  }
}

/** The next 1, 2 or 5 with zeros, at most as much. @param {number} amount */
function round(amount) {
  const power = 10 ** Math.floor(Math.log10(amount));
  return power * (amount >= 5 * power ? 5 : amount >= 2 * power ? 2 : 1);
}

/** Draw what is in view: pins, or groups where they would be a heap.
    @param {any} map @param {Place[]} places @param {HTMLElement} section */
function show(map, places, section) {
  const view = map.getBounds().pad(0.1);
  const near = new Set(places.filter((one) => !one.isHidden && view.contains(one.latlng)));
  part(section, "[data-key-group]").toggleAttribute("hidden", near.size <= CROWD);
  if (near.size > CROWD) {
    group(map, places, [...near], section);
    return;
  }
  map.titikGroups = "";
  layerOf(map, "groups").clearLayers();
  for (const one of places) {
    if (near.has(one)) one.marker.addTo(map);
    else one.marker.remove();
  }
  if (shrink(map, [...near])) stay(map, [...near]);
  else spread(map, [...near]);
  label(map, [...near]);
}

/** Where the figures of all would cover the map, each is its mark alone: true.
    @param {any} map @param {Place[]} places */
function shrink(map, places) {
  const { x, y } = map.getSize();
  const isTight = places.length * 60 * 32 > ROOM * x * y;
  for (const one of places) one.pin.classList.toggle("is-small", isTight);
  return isTight;
}

/** Marks stand where their places are, the worst above the others: many have nowhere to go.
    @param {any} map @param {Place[]} places */
function stay(map, places) {
  layerOf(map, "leaders").clearLayers();
  map.titikSpread = "";
  for (const one of places) one.marker.setLatLng(one.latlng);
}

/** Move pins apart that would lie upon each other; a line leads to where the place is.
    @param {any} map @param {Place[]} places */
function spread(map, places) {
  const spots = places.map((one) => spotOf(map, one.latlng, one.marker, one.pin));
  const key = [map.getZoom(), map.getCenter(), places.map((one, n) => one.name + spots[n].width)].join();
  if (map.titikSpread === key) return;
  map.titikSpread = key;
  settle(map, spots);
  const leaders = layerOf(map, "leaders");
  leaders.clearLayers();
  spots.forEach(({ at, x, y, from }, n) => {
    const one = places[n];
    if (Math.hypot(x - from.x, y - from.y) < 8) return;
    leaders.addLayer(L.polyline([one.latlng, at], { className: "map-leader", interactive: false, weight: 2 }));
    leaders.addLayer(L.circleMarker(one.latlng, { className: "map-leader-end", interactive: false, radius: 3 }));
  });
}

/** Where a pin stands in the window, and how large it is.
    @param {any} map @param {[number, number]} latlng @param {any} marker @param {HTMLElement} pin */
function spotOf(map, latlng, marker, pin) {
  const { x, y } = map.latLngToContainerPoint(latlng);
  return { marker, x, y, from: { x, y }, at: latlng, width: pin.offsetWidth + APART, height: pin.offsetHeight + APART };
}

/** Where they lie upon no other, as site_map.apart does in the drawing; each is moved.
    @param {{x: number, y: number, width: number, height: number}[]} spots */
export function apart(spots) {
  for (let round = 0; round < ROUNDS && push(spots); round++);
}

/** Put each where it lies upon no other. @param {any} map @param {any[]} spots */
function settle(map, spots) {
  apart(spots);
  for (const spot of spots) {
    spot.at = map.containerPointToLatLng([spot.x, spot.y]);
    spot.marker.setLatLng(spot.at);
  }
}

/** Push each two that meet half of the way apart, where the way is shorter; false: none meets.
    @param {any[]} spots */
function push(spots) {
  let isMoved = false;
  for (let n = 0; n < spots.length; n++) {
    for (let m = 0; m < n; m++) {
      const [a, b] = [spots[n], spots[m]];
      const x = (a.width + b.width) / 2 - Math.abs(a.x - b.x);
      const y = (a.height + b.height) / 2 - Math.abs(a.y - b.y);
      if (x < 0.5 || y < 0.5) continue;
      isMoved = true;
      const side = x <= y ? "x" : "y";
      const step = (Math.min(x, y) / 2) * (a[side] < b[side] ? -1 : 1);
      a[side] += step;
      b[side] -= step;
    }
  }
  return isMoved;
}

/** A layer of the map, by its name. @param {any} map @param {string} name */
function layerOf(map, name) {
  map.titikLayers ??= {};
  return (map.titikLayers[name] ??= L.layerGroup().addTo(map));
}

/** Places whose pins would share a cell stand there as one: how many, and how many are down.
    @param {any} map @param {Place[]} places @param {Place[]} near @param {HTMLElement} section */
function group(map, places, near, section) {
  /** @type {Map<string, Place[]>} */
  const cells = new Map();
  for (const one of near) {
    const { x, y } = map.project(one.latlng);
    const key = `${Math.floor(x / CELL)}/${Math.floor(y / CELL)}`;
    cells.set(key, [...(cells.get(key) ?? []), one]);
  }
  const looks = [...cells].map(([cell, members]) => `${cell} ${members.map((one) => one.name + one.state)}`);
  const key = [map.getZoom(), map.getCenter(), looks].join();
  if (map.titikGroups === key) return; // so that one of them keeps the focus
  map.titikGroups = key;
  map.titikSpread = "";
  for (const one of places) one.marker.remove();
  for (const name of ["groups", "leaders"]) layerOf(map, name).clearLayers();
  const spots = [...cells.values()].map((members) => {
    const only = members.length === 1 ? members[0].marker : groupMarker(map, members, section);
    if (members.length === 1) only.setLatLng(members[0].latlng);
    layerOf(map, "groups").addLayer(only);
    return only;
  });
  // Their sizes are read when all of them stand there, so that they are computed once.
  settle(map, spots.map((one) => spotOf(map, one.getLatLng(), one, one.getElement().firstElementChild)));
}

/** @param {any} map @param {Place[]} members @param {HTMLElement} section */
function groupMarker(map, members, section) {
  const bounds = L.latLngBounds(members.map((one) => one.latlng));
  const pin = document.createElement("button");
  pin.type = "button";
  pin.innerHTML = '<svg class="mark" aria-hidden="true"><use/></svg><span class="pin-count"></span>';
  const { state, down } = together(members.map((one) => one.state));
  const all = String(members.length);
  const { places = "", down: some = "" } = section.dataset;
  wear(pin, state);
  pin.classList.add("pin-group");
  part(pin, ".pin-count").textContent = down ? `${down}/${all}` : all;
  const title = places.replace("{}", all);
  pin.title = down ? `${title}: ${some.replace("{number}", String(down)).replace("{all}", all)}` : title;
  pin.setAttribute("aria-label", pin.title);
  pin.addEventListener("click", () => {
    map.once("moveend", () => land(map, members)); // after they are drawn
    map.fitBounds(bounds, { maxZoom: map.getZoom() + 2 });
  });
  return L.marker(bounds.getCenter(), { icon: icon(pin), keyboard: false });
}

/** The group that had the focus is gone: it goes on to the first of its places.
    @param {any} map @param {Place[]} members */
function land(map, members) {
  if (document.activeElement !== document.body) return;
  const first = members.find((one) => one.pin.isConnected)?.pin ?? map.getContainer();
  first.focus({ preventScroll: true });
}

/** The worst first. @param {string} one @param {string} other */
function byRank(one, other) {
  return ORDER.indexOf(one) - ORDER.indexOf(other);
}

/** Write the names for which there is room, the worst states first; the others show on hover.
    @param {any} map @param {Place[]} places */
function label(map, places) {
  const free = map.getZoom() >= NAMES_FROM;
  const { x: width } = map.getSize();
  const taken = free ? places.map((one) => box(map, one, part(one.pin, ".pin-count"))) : [];
  const worstFirst = [...places].sort((one, other) => byRank(one.state, other.state));
  const names = worstFirst.map((one) => ({ one, name: part(one.pin, ".pin-name") }));
  const rooms = names.map(({ one, name }) => (free ? box(map, one, name) : null)); // before any changes
  names.forEach(({ one, name }, n) => {
    const room = rooms[n];
    const isInside = room !== null && room.left >= 0 && room.right <= width;
    const fits = isInside && !taken.some((other) => other.of !== one && meet(room, other));
    name.classList.toggle("is-placed", fits);
    if (fits) taken.push(room);
  });
}

/** Where the name of a pin is, or the pin itself. @param {any} map @param {Place} one
    @param {Element} element */
function box(map, one, element) {
  const { x, y } = map.latLngToContainerPoint(one.marker.getLatLng());
  const isName = element.classList.contains("pin-name");
  const shown = /** @type {HTMLElement} */ (isName ? element : one.pin);
  const [width, height] = [shown.offsetWidth, shown.offsetHeight];
  const top = isName ? y + one.pin.offsetHeight / 2 + 3 : y - height / 2;
  return { of: one, left: x - width / 2, right: x + width / 2, top, bottom: top + height };
}

/** @param {any} one @param {any} other */
function meet(one, other) {
  return (
    one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom
  );
}

/** Copy what changes in the drawing to its pins, once for all changes of a moment.
    @param {SVGSVGElement} drawing @param {Place[]} places @param {() => void} draw */
function follow(drawing, places, draw) {
  const byAnchor = new Map(places.map((one) => [one.anchor, one]));
  new MutationObserver((changes) => {
    const anchors = new Set(changes.map(({ target }) => anchorOf(target)));
    const changed = [...anchors].map((anchor) => anchor && byAnchor.get(anchor)).filter(Boolean);
    const areOther = changed.map((one) => copy(/** @type {Place} */ (one))).some(Boolean);
    if (areOther || places.length <= CROWD) draw();
  }).observe(drawing, { attributes: true, characterData: true, childList: true, subtree: true });
}

/** @param {Node} node @returns {SVGAElement | null} */
function anchorOf(node) {
  const element = node instanceof Element ? node : node.parentElement;
  return element?.closest("a") ?? null;
}
