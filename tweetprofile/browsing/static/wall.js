"use strict";
// The wall of users, drawn only where it is in view, and moving on it by keys.

function measure() {
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const width = wall.clientWidth;
  const columns = Math.max(1, Math.floor((width + GAP) / (NARROWEST + GAP)));
  const card = Math.floor((width - (columns - 1) * GAP) / columns);
  let most = 0;
  for (let user = 0; user < all.count; user++) most = Math.max(most, all.shown[user] + all.failed[user].length);
  const rows = Math.min(2, Math.ceil(most / CELLS_PER_ROW));
  const inner = card - 2 - 1.3 * rem - 3 * (CELLS_PER_ROW - 1);
  const cell = Math.min(LARGEST_CELL, Math.floor(inner / CELLS_PER_ROW));
  const strip = rows ? rows * cell + 3 * (rows - 1) + 0.75 * rem : 0.2 * rem;
  const traits = Math.min(all.traits.length, MOST_TRAITS);
  const rest = all.traits.length > MOST_TRAITS ? 1.4 * rem : 0;
  const high = Math.ceil(2 + 1.1 * rem + 1.6 * rem + strip + traits * 1.55 * rem + rest);
  grid = { columns, card, rows, cell, high, step: high + GAP };
  wall.style.setProperty("--card", `${card}px`);
  wall.style.setProperty("--cell", `${cell}px`);
  wall.style.setProperty("--high", `${high}px`);
}

const topOfWall = () => wall.getBoundingClientRect().top + scrollY;

let scheduled = false;
function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => { scheduled = false; draw(); });
}

function redraw() {
  wall.replaceChildren();
  cards.clear();
  draw();
}

/** Draw the cards that are in view or near it, and remove the others. */
function draw() {
  const lines = Math.ceil(found.length / grid.columns);
  wall.style.height = `${Math.max(0, lines * grid.step - GAP)}px`;
  const top = -wall.getBoundingClientRect().top, high = innerHeight;
  let first = Math.max(0, Math.floor((top - high / 2) / grid.step)) * grid.columns;
  let last = Math.min(found.length, Math.ceil((top + 1.5 * high) / grid.step) * grid.columns);
  if (printing) [first, last] = [0, Math.min(found.length, MOST_PRINTED)];
  by("printed").hidden = !printing || found.length <= MOST_PRINTED;
  by("printed").textContent = `These are the first ${MOST_PRINTED} of ${count(found.length, "user")}.`;
  for (const [place, card] of cards) {
    if ((place < first || place >= last) && place !== active) {
      card.remove();
      cards.delete(place);
    }
  }
  for (let place = first; place < last; place++) if (!cards.has(place)) addCard(place);
  if (active < found.length && !cards.has(active)) addCard(active);
}

/** Add a card where it belongs among the others, for whoever moves by the Tab key. */
function addCard(place) {
  const card = makeCard(place);
  let next = null;
  for (const [other, drawn] of cards) {
    if (other > place && (next === null || other < +next.dataset.place)) next = drawn;
  }
  wall.insertBefore(card, next);
  cards.set(place, card);
}

function makeCard(place) {
  const user = found[place];
  const card = element("li", "card");
  card.dataset.place = place;
  card.setAttribute("aria-setsize", found.length);
  card.setAttribute("aria-posinset", place + 1);
  const left = (place % grid.columns) * (grid.card + GAP), top = Math.floor(place / grid.columns) * grid.step;
  card.style.transform = `translate(${left}px, ${top}px)`;
  const open = element("button", "open", nameOf(user));
  open.type = "button";
  open.title = nameOf(user);
  open.tabIndex = place === active ? 0 : -1;
  open.addEventListener("click", () => choose({ user }));
  const head = append(element("div", "head"), open, element("span", "aside", asideOf(user)));
  append(card, head, grid.rows ? stripOf(user) : null);
  const traits = all.traits.map((_, trait) => trait);
  if (state.trait >= 0) traits.sort((one, other) => (other === state.trait) - (one === state.trait) || one - other);
  for (const trait of traits.slice(0, MOST_TRAITS)) card.append(traitOf(user, trait));
  const rest = traits.length - MOST_TRAITS;
  if (rest > 0) card.append(element("div", "rest", `and ${count(rest, "more trait")}`));
  const considered = state.trait >= 0 ? [state.trait] : traits;
  if (considered.some((trait) => outcome(user, trait) === "wrong")) card.classList.add("wrong");
  return card;
}

/** Return the status, unless all is well, and the number of images, if the manifest has any. */
function asideOf(user) {
  const status = all.statuses[all.status[user]], images = all.hasImages ? count(all.given[user], "image") : "";
  return [status === "ok" ? "" : status, images].filter(Boolean).join(" · ");
}

function stripOf(user) {
  const strip = element("div", "strip");
  strip.style.height = `${grid.rows * grid.cell + 3 * (grid.rows - 1)}px`;
  const shown = all.shown[user], failed = all.failed[user], room = grid.rows * CELLS_PER_ROW;
  const reasons = failed.map((code) => all.reasons[code].replaceAll("_", " "));
  strip.setAttribute("role", "img");
  strip.setAttribute("aria-label", shown + failed.length === 0 ? "no image"
    : count(shown, "thumbnail") + (failed.length ? `, ${failed.length} unusable: ${unique(reasons).join(", ")}` : ""));
  if (shown + failed.length === 0) return append(strip, element("div", "none", "no image"));
  const kept = shown + failed.length > room ? room - 1 : room;
  const bad = Math.min(failed.length, Math.max(kept - shown, Math.min(failed.length, 2)));
  const good = Math.min(shown, kept - bad);
  for (let image = 0; image < good; image++) strip.append(thumbnail(user, image, "cell"));
  for (const reason of reasons.slice(0, bad)) strip.append(element("div", "cell bad", reason));
  const more = shown + failed.length - good - bad;
  if (more > 0) strip.append(element("div", "cell plus", `+${more}`));
  return strip;
}

/** Return an element that shows one thumbnail of a user; the browser loads its sprite. */
function thumbnail(user, image, name) {
  const cell = element("div", name), place = all.cell[user] + image, columns = all.columns;
  const sprite = Math.floor(user / all.usersPerSprite);
  const last = Math.min(all.count, (sprite + 1) * all.usersPerSprite) - 1;
  const lines = Math.ceil((all.cell[last] + all.shown[last]) / columns);
  const across = (place % columns) / (columns - 1), down = lines > 1 ? Math.floor(place / columns) / (lines - 1) : 0;
  cell.style.backgroundImage = `url("files/sprite-${sprite}.jpg")`;
  cell.style.backgroundSize = `${100 * columns}% ${100 * lines}%`;
  cell.style.backgroundPosition = `${100 * across}% ${100 * down}%`;
  return cell;
}

function traitOf(user, trait) {
  const [name, classes] = all.traits[trait], guess = all.guess[trait][user];
  const row = element("div", `trait ${outcome(user, trait)}`);
  append(row, element("span", "what", name));
  if (guess < 0) return append(row, element("span", "soft", "none"), element("i"), element("i"), markOf(user, trait));
  const sure = element("span", "guess", classes[guess]);
  sure.title = classes[guess];
  const confidence = all.confidence[trait] ? all.confidence[trait][user] : null;
  append(row, sure, confidence === null ? element("i") : meter(confidence));
  append(row, element("span", "percent", confidence === null ? "" : percent(confidence)), markOf(user, trait));
  return row;
}

function meter(scaled, name) {
  const made = element("span", `meter ${name ?? ""}`), inner = element("i");
  inner.style.width = `${scaled / 100}%`;
  made.setAttribute("aria-hidden", "true");
  return append(made, inner);
}

/** Return a mark that says by a sign and words whether a prediction is right. */
function markOf(user, trait, long) {
  const result = outcome(user, trait), truth = all.truth ? all.truth[trait][user] : -1;
  const mark = element("span", `mark ${result}`);
  if (truth < 0) return mark;
  const name = all.traits[trait][1][truth];
  if (result === "right") mark.textContent = "✓ right";
  else mark.textContent = result === "wrong" ? `✗ ${long ? "label: " : ""}${name}` : `label: ${name}`;
  mark.title = `label: ${name}`;
  if (result === "wrong") mark.setAttribute("aria-label", `wrong, label: ${name}`);
  return mark;
}

function moveTo(place) {
  if (place === active) return;
  const before = cards.get(active)?.querySelector(".open");
  if (before) before.tabIndex = -1;
  active = place;
  if (!cards.has(place)) addCard(place);
  cards.get(place).querySelector(".open").tabIndex = 0;
}

function focusOn(place) {
  if (place < 0 || place >= found.length) return;
  const top = topOfWall() + Math.floor(place / grid.columns) * grid.step;
  const hidden = by("bar").offsetHeight + GAP;
  if (top < scrollY + hidden) scrollTo(0, top - hidden);
  else if (top + grid.high > scrollY + innerHeight) scrollTo(0, top + grid.high - innerHeight + GAP);
  moveTo(place);
  draw();
  cards.get(place).querySelector(".open").focus({ preventScroll: true });
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
    if (event.key === "Escape" && event.target === by("search")) focusOn(Math.min(active, found.length - 1));
    return;
  }
  if (state.user !== null) {
    const step = { j: 1, ArrowRight: 1, k: -1, ArrowLeft: -1 }[event.key];
    if (step) { event.preventDefault(); stepUser(step); }
    return;
  }
  if (event.key === "/") {
    event.preventDefault();
    by("search").focus();
    return;
  }
  const inside = wall.contains(document.activeElement);
  const steps = { j: 1, k: -1 };
  if (inside) Object.assign(steps, { ArrowRight: 1, ArrowLeft: -1, ArrowDown: grid.columns, ArrowUp: -grid.columns,
    Home: -active, End: found.length - 1 - active });
  if (!(event.key in steps)) return;
  event.preventDefault();
  const place = inside ? active + steps[event.key] : Math.min(active, found.length - 1);
  if (place >= 0 && place < found.length) focusOn(place);
}
