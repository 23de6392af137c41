"use strict";
// What the page knows: the data of its users, and how to make elements of them. All that is shown of
// users is text: nothing of theirs is ever read as markup or run.

const GAP = 10, NARROWEST = 318, LARGEST_CELL = 72, CELLS_PER_ROW = 6, MOST_TRAITS = 6;
const MOST_PRINTED = 100, MOST_CHUNKS = 8, MOST_CLASSES = 12;
const FIELDS = ["trait", "class", "result", "from", "to", "status", "least", "most", "search", "sort"];

let all = null;              // the columns of all users, see page_data.py
let found = [];              // the users that fit the filters, in order
let state = {};              // what is chosen
let active = 0;              // the place in `found` that the keyboard is at
let grid = null;             // the sizes of the wall
let printing = false;
const cards = new Map();     // place -> card in the document
const chunks = new Map();    // number -> details of some users
const asked = new Set();     // chunks that are being loaded

const by = (id) => document.getElementById(id);
const wall = by("wall"), view = by("view");

function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

function append(parent, ...children) {
  parent.append(...children.filter((child) => child !== null));
  return parent;
}

const unique = (values) => [...new Set(values)];
const number = (value) => value.toLocaleString("en");
const count = (value, noun) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;
const percent = (scaled) => (scaled >= 9950 ? ">99%" : scaled < 50 ? "<1%" : `${Math.round(scaled / 100)}%`);
const signed = (value) => {
  const size = Math.abs(value).toFixed(2);
  return size === "0.00" ? size : (value < 0 ? "\u2212" : "+") + size;
};

function setUsers(data) {
  data.guess = data.guess.map((column) => Int16Array.from(column));
  data.confidence = data.confidence.map((column) => column && Uint16Array.from(column));
  data.truth = data.truth && data.truth.map((column) => Int16Array.from(column));
  for (const name of ["status", "given", "shown", "cell"]) data[name] = Int32Array.from(data[name]);
  data.hasImages = data.given.some((images) => images > 0);
  all = data;
  start();
}

function addDetails(chunk, details) {
  chunks.set(chunk, details);
  asked.delete(chunk);
  for (const oldest of chunks.keys()) {
    if (chunks.size <= MOST_CHUNKS) break;
    chunks.delete(oldest);
  }
  if (state.user !== null && chunkOf(state.user) === chunk) showUser(state.user);
}

const chunkOf = (user) => Math.floor(user / all.usersPerChunk);

function detailsOf(user) {
  const chunk = chunkOf(user), details = chunks.get(chunk);
  if (details) return details[user - chunk * all.usersPerChunk];
  if (!asked.has(chunk)) {
    asked.add(chunk);
    const script = element("script");
    script.src = `files/details-${chunk}.js`;
    script.onload = () => script.remove();
    script.onerror = () => {
      script.remove();
      asked.delete(chunk);
      by("loading").textContent = `${script.getAttribute("src")} is missing: keep the files of this page together.`;
    };
    document.head.append(script);
  }
  return null;
}

const nameOf = (user) => (all.ids ? all.ids[user] : `user ${user + 1}`);

/** Return "right", "wrong", or "" if the label or the prediction is missing. */
function outcome(user, trait) {
  if (!all.truth) return "";
  const guess = all.guess[trait][user], truth = all.truth[trait][user];
  return truth < 0 || guess < 0 ? "" : guess === truth ? "right" : "wrong";
}
