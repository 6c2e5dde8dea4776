// Part one on the page: sliders, switches and tables of `byHand`, kept up to date.

import {INPUTS, NAMES, SWITCHES, byHand, courseState, fromHash, madeFrom, sentence, shown, toHash} from "./by_hand.js";
import {byId, gridTable, make, stopAt, watchCells} from "./tables.js";

const RANGE = {x: 5, w_q: 1.5, w_k: 1.5, w_v: 1.5};
const TITLES = {
  x: "x, the tokens", w_q: "W_q", w_k: "W_k", w_v: "W_v", q: "q = x W_qᵀ, queries", k: "k = x W_kᵀ, keys",
  v: "v = x W_vᵀ, values", exp: "exp(score − largest), sum", weights: "weights = exp / sum", out: "out = weights · v",
};
const GUESSED = ["scores", "exp", "sum", "weights", "out"];
const START = "Point at a number, tap it, or go there with Tab and the arrow keys, to see how it was made.";

const hand = {state: courseState(), found: null, opened: new Set(), cell: null};
const cellOfData = element => element.dataset.cell.split(":").map((x, n) => (n ? Number(x) : x));
const elementOf = cell => byId("hand-tables").querySelector(`[data-cell="${cell.join(":")}"]`);
const mustGuess = cell => byId("guess").checked && GUESSED.includes(cell[0]) && !hand.opened.has(cell.join(":"));

function titleOf(table, head) {
  const {scale, heads} = hand.state, divided = scale ? ` / √${heads ? 1 : 2}` : "";
  const title = table === "scores" ? `scores = q kᵀ${divided}` : TITLES[table];
  return heads && ["scores", "exp", "weights"].includes(table) ? `${title}, head ${head + 1}` : title;
}

// Between weights: black and white ink where either can be read best.
export const inkOf = weight => (weight > 0.67 ? "shade strong" : weight > 0.46 ? "shade middle" : "shade");

function drawHandTable(table, head) {
  const values = hand.found[table][head], keys = ["scores", "exp", "weights"].includes(table);
  const columns = keys ? [...NAMES] : values[0].map((_, j) => String(j + 1));
  const rows = table.startsWith("w_") ? values.map((_, i) => String(i + 1)) : NAMES;
  if (table === "exp") columns.push("sum");
  const cell = (i, j) => {
    const place = j < values[i].length ? [table, head, i, j] : ["sum", head, i, 0];
    const value = hand.found[place[0]][head][i][place[3]], open = !mustGuess(place);
    const shade = open && table === "weights" ? {class: inkOf(value), style: {"--w": value}} : {};
    return {text: open ? shown(value) : "?", data: {cell: place.join(":")}, ...shade};
  };
  const at = hand.cell && hand.cell[0] === table && hand.cell[1] === head ? hand.cell.slice(2) : [0, 0];
  const options = {rows: rows.map(x => [x]), columns: columns.map(x => [x]), cell, at};
  return gridTable({caption: titleOf(table, head), className: `grid of-${table.at(-1)} table-${table}`, ...options});
}

function group(...tables) {
  return make("div", {class: "group"}, ...tables);
}

function drawHand() {
  hand.found = byHand(hand.state);
  const one = names => names.map(name => drawHandTable(name, 0));
  const heads = hand.found.scores.map((_, h) => group(...["scores", "exp", "weights"].map(name => drawHandTable(name, h))));
  byId("hand-tables").replaceChildren(
    group(...one(["x", "w_q", "w_k", "w_v"])), group(...one(["q", "k", "v"])), ...heads, group(...one(["out"])));
  byId("hand-link").href = toHash(hand.state);
  markHand();
}

function markHand() {
  for (const x of byId("hand-tables").querySelectorAll(".from, .chosen")) x.classList.remove("from", "chosen");
  if (!hand.cell) return;
  elementOf(hand.cell).classList.add("chosen");
  for (const cell of madeFrom(hand.state, hand.cell)) elementOf(cell).classList.add("from");
}

function sayHand() {
  const guess = hand.cell && mustGuess(hand.cell);
  const asked = guess ? " Guess, then press Enter or tap once more." : "";
  byId("hand-said").textContent = hand.cell ? sentence(hand.state, hand.found, hand.cell, guess) + asked : START;
}

// After a switch or a slider; `done` where a slider has come to rest.
function changed(done = true) {
  if (hand.cell && !hand.found[hand.cell[0]][hand.cell[1]]) hand.cell = null;
  drawHand();
  if (!done) return;
  sayHand();
  history.replaceState(null, "", toHash(hand.state));
}

function slider(name, i, j) {
  const of = name === "x" ? `${NAMES[i]}, number ${j + 1}` : `row ${i + 1}, column ${j + 1}`;
  const number = make("span", {class: "number", "aria-hidden": "true"});
  const input = make("input", {type: "range", min: -RANGE[name], max: RANGE[name], step: "any", data: {name, i, j}});
  return make("label", {class: "slider"}, make("span", {}, of), input, number);
}

function drawSliders() {
  for (const name of INPUTS) {
    const sliders = hand.state[name].flatMap((row, i) => row.map((_, j) => slider(name, i, j)));
    const legend = make("legend", {}, TITLES[name].split(",")[0]);
    const box = make("fieldset", {class: `sliders of-${name.at(-1)}`}, legend, ...sliders);
    byId(name === "x" ? "x-sliders" : "w-sliders").append(box);
  }
}

function setControls() {
  for (const input of byId("hand").querySelectorAll("input[type=range]")) {
    const {name, i, j} = input.dataset;
    input.value = hand.state[name][i][j];
    input.parentNode.lastChild.textContent = shown(hand.state[name][i][j]);
  }
  for (const name of SWITCHES) byId(name).checked = hand.state[name];
}

function take(state) {
  Object.assign(hand, {state, opened: new Set(), cell: null});
  setControls();
  drawHand();
  sayHand();
}

function slide(event) {
  const {name, i, j} = event.target.dataset;
  if (event.target.type !== "range") return;
  hand.state[name][i][j] = Number(event.target.value);
  event.target.parentNode.lastChild.textContent = shown(hand.state[name][i][j]);
  changed(false);
}

export function startHand() {
  drawSliders();
  take(fromHash(location.hash) ?? courseState());
  const point = element => {
    hand.cell = cellOfData(element);
    stopAt(element);
    markHand();
    sayHand();
  };
  watchCells(byId("hand-tables"), point, element => {
    const cell = cellOfData(element);
    if (!mustGuess(cell)) return;
    hand.opened.add(cell.join(":"));
    drawHand();
    sayHand();
    elementOf(cell).focus();
  });
  byId("hand").addEventListener("input", slide);
  byId("hand").addEventListener("change", event => {
    if (SWITCHES.includes(event.target.id)) hand.state[event.target.id] = event.target.checked;
    if (event.target.id === "guess") hand.opened.clear();
    hand.found = byHand(hand.state);
    changed();
  });
  byId("course").addEventListener("click", () => {
    take(courseState());
    history.replaceState(null, "", toHash(hand.state));
  });
  window.addEventListener("hashchange", () => take(fromHash(location.hash) ?? hand.state));
}
