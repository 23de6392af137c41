"use strict";
// The view of one user: probabilities, images with what each contributed, and texts.

function stepUser(step) {
  const next = found[found.indexOf(state.user) + step];
  if (next !== undefined && found.includes(state.user)) choose({ user: next }, true);
}

function showUser(user) {
  const kept = view.contains(document.activeElement) ? document.activeElement.id : "";
  const top = view.dataset.user === String(user) ? view.scrollTop : 0;
  view.dataset.user = user;
  view.replaceChildren(titleOf(user), ...(bodyOf(user)));
  if (!view.open) view.showModal();
  view.scrollTop = top;
  by(kept || "shut")?.focus({ preventScroll: true });
}

function titleOf(user) {
  const name = element("h2", "", nameOf(user));
  name.id = "name";
  const place = found.indexOf(user);
  const button = (id, text, label, act, off) => {
    const made = element("button", "", text);
    made.id = id;
    made.type = "button";
    made.setAttribute("aria-label", label);
    made.disabled = off;
    made.addEventListener("click", act);
    return made;
  };
  return append(element("div", "title"), name,
    element("span", "soft", [asideOf(user), place < 0 ? "" : `${number(place + 1)} of ${number(found.length)}`]
      .filter(Boolean).join(" · ")),
    button("before", "‹", "previous user", () => stepUser(-1), place <= 0),
    button("after", "›", "next user", () => stepUser(1), place < 0 || place + 1 >= found.length),
    button("shut", "Close", "close", () => view.close(), false));
}

function bodyOf(user) {
  const details = detailsOf(user);
  if (!details) {
    const loading = element("p", "soft", "Loading…");
    loading.id = "loading";
    return [loading];
  }
  const blocks = append(element("div", "blocks"), ...all.traits.map((_, trait) => blockOf(user, trait, details)));
  return [blocks, ...imagesOf(user, details), ...textsOf(user, details), ...fieldsOf(user, details)];
}

function blockOf(user, trait, details) {
  const [name, classes] = all.traits[trait], guess = all.guess[trait][user];
  const truth = all.truth ? all.truth[trait][user] : -1, odds = details.probabilities[trait];
  const head = append(element("h3"), element("span", "", name), markOf(user, trait, true));
  const block = append(element("section", "block"), head);
  if (guess < 0) return append(block, element("p", "soft", "There is no prediction."));
  if (!odds) return append(block, element("p", "", classes[guess]));
  const ranked = classes.map((_, each) => each).sort((one, other) => odds[other] - odds[one] || one - other);
  const shown = ranked.filter((each, rank) => rank < MOST_CLASSES || each === truth);
  const list = element("div", "odds");
  list.setAttribute("role", "list");
  for (const each of shown) {
    const top = each === guess ? "top" : "";
    const label = element("span", top, classes[each]);
    label.setAttribute("role", "listitem");
    label.title = classes[each];
    label.setAttribute("aria-label", `${classes[each]}: ${percent(odds[each])}${each === truth ? ", the label" : ""}`);
    const figure = element("span", "percent", percent(odds[each]));
    figure.setAttribute("aria-hidden", "true");
    append(list, label, meter(odds[each], top), figure,
      each === truth ? element("span", `mark ${each === guess ? "right" : "wrong"}`, "◂ label") : element("span"));
  }
  append(block, list);
  const hidden = classes.length - shown.length;
  const words = `${number(hidden)} more ${hidden === 1 ? "class" : "classes"}, less probable`;
  return append(block, hidden > 0 ? element("p", "soft", words) : null);
}

/** Return the trait whose contributions are shown: the chosen one, or else the first that is wrong. */
function shownTrait(user) {
  if (state.by >= 0) return state.by;
  if (state.trait >= 0) return state.trait;
  return Math.max(0, all.traits.findIndex((_, trait) => outcome(user, trait) === "wrong"));
}

function imagesOf(user, details) {
  const images = details.images, failed = details.failed, given = all.given[user];
  if (!given) return [];
  const has = Boolean(all.way) && images.some(([, own]) => own);
  const parts = [element("h3", "", "Images")], trait = shownTrait(user);
  const weight = (place) => (images[place][1] ? images[place][1][trait] : null);
  const bars = images.filter((_, place) => weight(place) !== null).length;
  if (has) parts.push(...introduction(user, trait, details, "image", bars));
  const shown = images.map((_, place) => place);
  if (has && state.order === "telling") {
    shown.sort((one, other) => (weight(other) ?? -1e9) - (weight(one) ?? -1e9) || one - other);
  }
  const largest = Math.max(1e-9, ...images.map((_, place) => Math.abs(weight(place) ?? 0)));
  const gallery = element("ul", "gallery");
  for (const place of shown) gallery.append(figureOf(user, place, images[place], has ? weight(place) : null, largest));
  failed.forEach((index, place) => gallery.append(failedOf(index, all.reasons[all.failed[user][place]])));
  parts.push(gallery);
  const hidden = given - images.length - failed.length - details.moreFailed;
  const notes = [];
  if (details.moreFailed) notes.push(`${count(details.moreFailed, "more image")} could not be used.`);
  if (hidden > 0) notes.push(`${count(hidden, "more image")} in the manifest: not shown here.`);
  notes.push("Images are squeezed into squares, as the model sees them.");
  parts.push(element("p", "soft", notes.join(" ")));
  return parts;
}

/** Return what stands above the first bars of a user. */
function introduction(user, trait, details, noun, bars) {
  return [explanation(user, trait, details, noun, bars), ...noteOnMistake(user, trait), chooser(trait, noun === "image")];
}

const NOUNS = { image: "an image", text: "a text", field: "a field of the profile" };

/** Return what the bars of images, of fields or of texts mean; `bars` is their number. */
function explanation(user, trait, details, noun, bars) {
  const [name, classes] = all.traits[trait], guess = all.guess[trait][user];
  if (guess < 0) return element("p", "soft", `There is no prediction of ${name}.`);
  const what = `Each bar shows how much ${NOUNS[noun]} speaks for (right) or against (left) `
    + `the prediction ${name}: ${classes[guess]}.`;
  const how = all.way !== "leave_one_out" ? ""
    : " It is how far the centred logit of this class falls if the image is left out.";
  const base = details.base && details.base[trait], total = details.totals && details.totals[trait];
  if (typeof base !== "number" || typeof total !== "number") return element("p", "", what + how);
  const counts = { image: details.imageCounts[trait], field: fieldCount(details, trait), text: details.textCounts[trait] };
  const known = Object.keys(NOUNS).filter((each) => counts[each] || each === noun)
    .map((each) => NOUNS[each].replace(/^an? /, ""));
  const rest = restOf({ ...counts, [noun]: counts[noun] - bars }, noun);
  const origin = {
    exact: `which the model says before any ${known.join(" and ")}`,
    leave_one_out: "which holds what several images say only together",
    unknown: "which belongs to none of them",
  }[all.way];
  return element("p", "", `${what}${how} Together with ${signed(base)}, ${origin}, they add up${rest} to `
    + `${signed(total)}, the centred logit of this class.`);
}

/** Return a paragraph, for a mistake, on what the bars do not show. */
function noteOnMistake(user, trait) {
  if (outcome(user, trait) !== "wrong") return [];
  const classes = all.traits[trait][1];
  const [guess, truth] = [all.guess, all.truth].map((each) => classes[each[trait][user]]);
  return [element("p", "", `This prediction is wrong: the label is ${truth}. The bars explain ${guess} only; the `
    + `profiles do not say what speaks for ${truth}.`)];
}

/** Return whose contributions have no bar among those that are explained, and count for the sum as well. */
function restOf(hidden, noun) {
  const parts = [];
  if (hidden.image > 0) parts.push(`${count(hidden.image, "image")} without a bar`);
  if (hidden.field > 0) parts.push("the profile");
  if (hidden.text > 0) parts.push(noun === "text" ? "all other texts" : "the texts");
  return parts.length ? ` with those of ${parts.join(" and of ")}` : "";
}

function chooser(trait, ordered) {
  const list = (id, words, options, chosen, act) => {
    const made = element("select");
    made.id = id;
    for (const [value, text] of options) {
      const option = element("option", "", text);
      option.value = value;
      option.selected = value === chosen;
      made.append(option);
    }
    made.addEventListener("change", () => act(made.value));
    return append(element("label"), element("span", "", words), made);
  };
  return append(element("div", "choices"),
    list("by", "Trait", all.traits.map(([name], each) => [String(each), name]), String(trait),
      (value) => choose({ by: +value }, true)),
    ordered ? list("order", "Order", [["telling", "for the prediction first"], ["list", "as in the manifest"]],
      state.order, (value) => choose({ order: value }, true)) : null);
}

function figureOf(user, place, [index, , shared], weight, largest) {
  const item = element("li"), frame = thumbnail(user, place, "frame");
  frame.setAttribute("role", "img");
  frame.setAttribute("aria-label", `image ${index + 1} of ${all.given[user]}`);
  append(item, frame);
  if (weight !== null) append(item, barOf(weight, largest));
  append(item, append(element("div", "line"), element("span", "", `image ${number(index + 1)}`),
    weight === null ? null : element("b", "", signed(weight))));
  if (shared) append(item, alsoOf(shared));
  return item;
}

function failedOf(index, reason) {
  const frame = element("div", "frame bad", reason.replaceAll("_", " "));
  const line = append(element("div", "line"), element("span", "", `image ${number(index + 1)}: unusable`));
  return append(element("li"), frame, line);
}

function barOf(weight, largest) {
  const bar = element("div", "bar"), inner = element("i", weight < 0 ? "minus" : "");
  const width = 50 * Math.abs(weight) / largest;
  inner.style.width = `${width}%`;
  inner.style.left = `${weight < 0 ? 50 - width : 50}%`;
  bar.setAttribute("aria-hidden", "true");
  return append(bar, inner);
}

function alsoOf([total, users]) {
  const also = element("div", "also", "also of ");
  users.slice(0, 6).forEach((user, place) => {
    const link = element("a", "", nameOf(user));
    link.href = addressOf({ ...state, user });
    also.append(place ? ", " : "", link);
  });
  if (total > Math.min(users.length, 6)) also.append(` and ${number(total - Math.min(users.length, 6))} more`);
  return also;
}

/** Return the number of fields of the user's own profile that have a contribution to a trait. */
function fieldCount(details, trait) {
  return (details.fields ?? []).filter(([, own]) => own && own[trait] !== null).length;
}

function fieldsOf(user, details) {
  const trait = shownTrait(user), given = details.fields.filter(([, own]) => own && own[trait] !== null);
  if (!given.length) return [];
  const largest = Math.max(1e-9, ...given.map(([, own]) => Math.abs(own[trait])));
  const list = element("ol", "texts");
  for (const [name, own] of given) {
    append(list, append(element("li"), element("span", "", name.replace("_", " ")), barOf(own[trait], largest), element("b", "", signed(own[trait]))));
  }
  const head = element("h3", "", `The user's own profile for ${all.traits[trait][0]}`);
  const alone = !details.texts.length && !details.images.some(([, own]) => own);
  return [head, ...(alone ? introduction(user, trait, details, "field", given.length) : []), list];
}

function textsOf(user, details) {
  if (!details.texts.length) return [];
  const trait = shownTrait(user), ranked = details.texts.filter(([, own]) => own && own[trait])
    .sort((one, other) => Math.abs(other[1][trait]) - Math.abs(one[1][trait])).slice(0, 8);
  const largest = Math.max(1e-9, ...ranked.map(([, own]) => Math.abs(own[trait])));
  const list = element("ol", "texts");
  for (const [index, own, said] of ranked) {
    const item = append(element("li"), element("span", "", `text ${number(index + 1)}`), barOf(own[trait], largest),
      element("b", "", signed(own[trait])));
    list.append(said === undefined ? item : append(item, element("span", "said", said)));
  }
  const head = element("h3", "", `The most telling texts for ${all.traits[trait][0]}`);
  const words = details.images.some(([, own]) => own) ? []
    : introduction(user, trait, details, "text", ranked.length);
  return [head, ...words, list, element("p", "soft", "Texts are numbered from the oldest on, as in the manifest.")];
}
