"use strict";
// Begins when the list of users has been loaded, and follows the address from then on.

function update() {
  if (state.address === location.hash) return;
  const before = state;
  state = readAddress();
  const changed = !before.sort || FIELDS.some((key) => before[key] !== state[key]);
  if (changed) {
    select();
    active = 0;
    showChoices();
    if (before.sort) scrollTo(0, Math.min(scrollY, topOfWall() - by("bar").offsetHeight - GAP));
    redraw();
  }
  if (state.user !== null) {
    showUser(state.user);
    const place = found.indexOf(state.user);
    if (place >= 0) moveTo(place);
    return;
  }
  if (view.open) view.close();
  if (typeof before.user === "number") {
    const place = found.indexOf(before.user);
    if (place >= 0) focusOn(place);
  }
}

function start() {
  listen();
  state = {};
  measure();
  update();
}

addEventListener("DOMContentLoaded", () => {
  if (!all) by("count").textContent = "files/users.js is missing: keep the files of this page together.";
});
