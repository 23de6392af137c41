"use strict";
// Which users are wanted, and in which order. What is chosen is in the hash of the address, so that
// going back in the browser restores it.

function wholeNumber(text, low, high) {
  return /^\d{1,9}$/.test(text ?? "") && +text >= low && +text <= high ? +text : null;
}

/** Return a percentage with up to two decimals; null if the text is none. */
function percentage(text) {
  return /^\d{1,3}(\.\d{1,2})?$/.test(text ?? "") && +text <= 100 ? +text : null;
}

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const trait = all.traits.findIndex(([name]) => name === given.get("trait"));
  const classes = trait < 0 ? [] : all.traits[trait][1];
  const status = all.statuses.indexOf(given.get("status"));
  const by = all.traits.findIndex(([name]) => name === given.get("by"));
  const user = wholeNumber(given.get("user"), 1, all.count);
  return {
    address: location.hash,
    trait,
    class: classes.indexOf(given.get("class")),
    result: all.truth && ["right", "wrong", "none"].includes(given.get("result")) ? given.get("result") : "",
    from: percentage(given.get("from")),
    to: percentage(given.get("to")),
    status,
    least: wholeNumber(given.get("least"), 0, 1e9),
    most: wholeNumber(given.get("most"), 0, 1e9),
    search: given.get("search") ?? "",
    sort: sorts().some(([key]) => key === given.get("sort")) ? given.get("sort") : sorts()[0][0],
    user: user === null ? null : user - 1,
    by,
    order: given.get("order") === "list" ? "list" : "telling",
  };
}

function addressOf(wanted) {
  const made = new URLSearchParams();
  const put = (key, value) => value !== null && value !== "" && made.set(key, value);
  if (wanted.trait >= 0) {
    put("trait", all.traits[wanted.trait][0]);
    if (wanted.class >= 0) put("class", all.traits[wanted.trait][1][wanted.class]);
  }
  for (const key of ["result", "from", "to", "least", "most", "search"]) put(key, wanted[key]);
  if (wanted.status >= 0) put("status", all.statuses[wanted.status]);
  if (wanted.sort !== sorts()[0][0]) put("sort", wanted.sort);
  if (wanted.user !== null) {
    put("user", wanted.user + 1);
    if (wanted.by >= 0) put("by", all.traits[wanted.by][0]);
    if (wanted.order !== "telling") put("order", wanted.order);
  }
  return `#${made}`;
}

/** Change what is chosen; `replace` leaves no step to go back to. */
function choose(changes, replace) {
  const address = addressOf({ ...state, ...changes });
  if (address === location.hash || (address === "#" && location.hash === "")) return;
  if (replace) location.replace(address);
  else location.hash = address;
  update();
}

function sorts() {
  const known = all.confidence.some((column) => column);
  const mistakes = all.truth ? [["mistakes", known ? "most confident mistakes" : "mistakes first"]] : [];
  const confident = known ? [["confident", "most confident"], ["unsure", "least confident"]] : [];
  return [...mistakes, ...confident, ["images", "most images"], ["order", "order of the manifest"]];
}

function select() {
  const traits = state.trait < 0 ? all.traits.map((_, trait) => trait) : [state.trait];
  // A confidence of 79.6% is shown as 80%, and 80 finds it.
  const reach = (bound, beyond) => bound * 100 + (Number.isInteger(bound) ? beyond : 0);
  const low = state.from === null ? -1 : reach(state.from, -50);
  const high = state.to === null ? 1e9 : reach(state.to, 49);
  const ranged = state.from !== null || state.to !== null;
  const words = state.search.trim().toLowerCase();
  const keys = new Float64Array(all.count);
  const fitsTrait = (user, trait) => {
    if (state.class >= 0 && all.guess[trait][user] !== state.class) return false;
    if (state.result && (outcome(user, trait) || "none") !== state.result) return false;
    if (!ranged) return true;
    const column = all.confidence[trait];
    return !!column && all.guess[trait][user] >= 0 && column[user] >= low && column[user] <= high;
  };
  found = [];
  for (let user = 0; user < all.count; user++) {
    if (state.status >= 0 && all.status[user] !== state.status) continue;
    if (state.least !== null && all.given[user] < state.least) continue;
    if (state.most !== null && all.given[user] > state.most) continue;
    if (words && !nameOf(user).toLowerCase().includes(words)) continue;
    const fitting = traits.filter((trait) => fitsTrait(user, trait));
    if (!fitting.length) continue;
    keys[user] = sortKey(user, fitting);
    found.push(user);
  }
  found.sort((one, other) => keys[other] - keys[one] || one - other);
}

/** Return a number by which users are sorted, the largest first. */
function sortKey(user, traits) {
  if (state.sort === "order") return 0;
  if (state.sort === "images") return all.given[user];
  const wanted = state.sort === "mistakes"
    ? traits.filter((trait) => outcome(user, trait) === "wrong")
    : traits.filter((trait) => all.guess[trait][user] >= 0);
  const values = wanted.map((trait) => (all.confidence[trait] ? all.confidence[trait][user] : 0));
  if (!values.length) return state.sort === "unsure" ? -2e4 : -1;
  return state.sort === "unsure" ? -Math.min(...values) : Math.max(...values);
}

function fill(id, options, chosen) {
  const list = by(id);
  if (!list) return;
  list.replaceChildren(...options.map(([value, words]) => {
    const option = element("option", "", words);
    option.value = value;
    option.selected = value === chosen;
    return option;
  }));
}

function showChoices() {
  const traits = all.traits.map(([name], trait) => [String(trait), name]);
  fill("trait", [["-1", "any trait"], ...traits], String(state.trait));
  const classes = state.trait < 0 ? [] : all.traits[state.trait][1].map((name, each) => [String(each), name]);
  fill("class", [["-1", state.trait < 0 ? "choose a trait first" : "any class"], ...classes], String(state.class));
  by("class").disabled = state.trait < 0;
  fill("result", [["", "right or wrong"], ["wrong", "wrong"], ["right", "right"],
    ["none", "no label or no prediction"]], state.result);
  const statuses = all.statuses.map((name, each) => [String(each), name]);
  fill("status", [["-1", "any status"], ...statuses], String(state.status));
  fill("sort", sorts(), state.sort);
  for (const id of ["from", "to", "least", "most", "search"]) {
    if (document.activeElement !== by(id)) by(id).value = state[id] ?? "";
  }
  by("images").hidden = !all.hasImages;
  by("confidence").hidden = !all.confidence.some((column) => column);
  for (const id of FIELDS) {
    const value = state[id], usual = id === "sort" ? sorts()[0][0] : "";
    by(id)?.classList.toggle("set", value !== null && value !== -1 && value !== "" && value !== usual);
  }
  const set = by("filters").querySelectorAll(".set").length;
  by("more").textContent = set ? `Filters (${set})` : "Filters";
  by("count").textContent = found.length === all.count
    ? count(all.count, "user") : `${number(found.length)} of ${count(all.count, "user")}`;
  by("nobody").hidden = found.length > 0;
}

const NOTHING = {
  trait: -1, class: -1, result: "", from: null, to: null, status: -1, least: null, most: null, search: "",
};

function listen() {
  by("bar").addEventListener("submit", (event) => event.preventDefault());
  by("bar").addEventListener("change", (event) => {
    const { id, value } = event.target;
    if (id === "trait") choose({ trait: +value, class: -1 });
    else if (id === "class" || id === "status") choose({ [id]: +value });
    else if (id === "result" || id === "sort") choose({ [id]: value });
  });
  by("bar").addEventListener("input", (event) => {
    const { id, value } = event.target;
    if (id === "search") choose({ search: value }, true);
    if (id === "from" || id === "to") choose({ [id]: percentage(value) }, true);
    if (id === "least" || id === "most") choose({ [id]: wholeNumber(value, 0, 1e9) }, true);
  });
  for (const id of ["reset", "again"]) by(id).addEventListener("click", () => choose(NOTHING));
  by("more").addEventListener("click", () => {
    const open = by("filters").classList.toggle("unfolded");
    by("more").setAttribute("aria-expanded", String(open));
  });
  addEventListener("hashchange", update);
  addEventListener("scroll", schedule, { passive: true });
  addEventListener("resize", () => { measure(); redraw(); });
  addEventListener("beforeprint", () => { printing = true; redraw(); });
  addEventListener("afterprint", () => { printing = false; redraw(); });
  addEventListener("keydown", onKey);
  wall.addEventListener("focusin", (event) => {
    const card = event.target.closest(".card");
    if (card) moveTo(+card.dataset.place);
  });
  view.addEventListener("close", () => {
    if (state.user !== null) choose({ user: null });
  });
  view.addEventListener("click", (event) => {
    if (event.target === view) view.close(); // the backdrop
  });
}
