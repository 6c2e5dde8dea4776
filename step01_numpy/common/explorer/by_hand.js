// The course's three tokens by hand: all numbers of self-attention, and how each came about. The page is not touched.

import {byHeads, fromRows, toRows} from "./attention.js";

export const NAMES = ["first", "second", "third"];
export const SWITCHES = ["scale", "causal", "padding", "heads"];
const COURSE = { // torch.manual_seed(42) and three nn.Linear(2, 2, bias=False), in the order q, k, v
  x: [[1.16, 0.23], [0.57, 1.36], [4.41, -2.16]],
  w_q: [[0.54061037, 0.58690423], [-0.16565566, 0.64955628]],
  w_k: [[-0.15492962, 0.14268756], [-0.34425849, 0.41527155]],
  w_v: [[0.62334496, -0.51875341], [0.61461449, 0.13234161]],
};
export const INPUTS = Object.keys(COURSE);
const LARGEST = 1000; // of a number in a link

export const courseState = () => ({...structuredClone(COURSE), scale: true, causal: false, padding: false, heads: false});

// The state in the hash of a link, and back: what a link does not name is the course's; null where it is no state.
export function toHash(state) {
  const numbers = INPUTS.map(name => `${name}=${state[name].flat().join(",")}`);
  return `#${[...numbers, ...SWITCHES.map(name => `${name}=${Number(state[name])}`)].join("&")}`;
}

export function fromHash(hash) {
  const given = new Map(hash.replace(/^#/, "").split("&").map(x => x.split("="))), state = courseState();
  if (![...INPUTS, ...SWITCHES].some(name => given.has(name))) return null;
  for (const name of INPUTS.filter(x => given.has(x))) {
    const numbers = (given.get(name) ?? "").split(",").map(x => (x.trim() ? Number(x) : NaN));
    const right = numbers.length === 2 * state[name].length && numbers.every(x => Math.abs(x) <= LARGEST);
    if (!right) return null;
    state[name] = state[name].map((_, i) => numbers.slice(2 * i, 2 * i + 2));
  }
  for (const name of SWITCHES.filter(x => given.has(x))) {
    if (!["0", "1"].includes(given.get(name))) return null;
    state[name] = given.get(name) === "1";
  }
  return state;
}

// Why a query may not look at a key, or nothing where it may.
function hiddenBy(state, i, j) {
  if (state.causal && j > i) return `${NAMES[j]} comes after ${NAMES[i]}`;
  return state.padding && j === NAMES.length - 1 ? `${NAMES[j]} is padding` : "";
}

// All tables: x, w_q, w_k, w_v, q, k, v, out of one entry each, scores, largest, exp, sum, weights of one a head.
export function byHand(state) {
  const [q, k, v] = ["w_q", "w_k", "w_v"].map(name => project(state.x, state[name]));
  const nHeads = state.heads ? 2 : 1, scale = scaleOf(state);
  const {out, heads} = byHeads(...[q, k, v].map(fromRows), nHeads, (i, j) => !hiddenBy(state, i, j), scale);
  const inputs = Object.fromEntries(INPUTS.map(name => [name, [state[name]]]));
  return {
    ...inputs, q: [q], k: [k], v: [v],
    scores: heads.map(x => toRows(x.scores)),
    largest: heads.map(x => x.largest.map(y => [y])),
    exp: heads.map(x => toRows(x.exp)),
    sum: heads.map(x => x.sums.map(y => [y])),
    weights: heads.map(x => toRows(x.weights)),
    out: [toRows(out)],
  };
}

const scaleOf = state => (state.scale ? 1 / Math.sqrt(state.heads ? 1 : 2) : 1);

const project = (x, w) => x.map(row => w.map(line => row[0] * line[0] + row[1] * line[1]));

// ---- what a cell was made from, and how ----------------------------------------------------------------------

// A cell is [table, head, i, j].
const line = (table, head, i, n) => Array.from({length: n}, (_, j) => [table, head, i, j]);

// The columns of q, k and v that a head has.
const share = (state, head) => (state.heads ? [head] : [0, 1]);

// The cells that a cell was made from.
export function madeFrom(state, [table, head, i, j]) {
  if ("qkv".includes(table)) return [...line("x", 0, i, 2), ...line(`w_${table}`, 0, j, 2)];
  if (table === "scores") {
    const columns = hiddenBy(state, i, j) ? [] : share(state, head);
    return columns.flatMap(c => [["q", 0, i, c], ["k", 0, j, c]]);
  }
  if (table === "exp") return line("scores", head, i, 3);
  if (table === "sum") return line("exp", head, i, 3);
  if (table === "weights") return [["exp", head, i, j], ["sum", head, i, 0]];
  if (table === "out") {
    const mine = state.heads ? j : 0;
    return [...line("weights", mine, i, 3), ...NAMES.map((_, n) => ["v", 0, n, j])];
  }
  return [];
}

export const shown = x => (x === -Infinity ? "−∞" : x.toFixed(4).replace(/^-(?=[\d.]*[1-9])/, "−").replace("-", ""));
const bracketed = x => (x < 0 ? `(${shown(x)})` : shown(x));
const products = (xs, ys) => xs.map((x, n) => `${shown(x).replace(/^(−.*)/, n ? "($1)" : "$1")} · ${bracketed(ys[n])}`).join(" + ");
const PARTS = {q: "query", k: "key", v: "value"};

// The arithmetic of a cell in one sentence that ends with its number: [what, how, number].
export function arithmetic(state, found, [table, head, i, j]) {
  const value = shown(found[table][head][i][j]), row = name => found[name][head][i], of = NAMES[i];
  const inHead = state.heads && ["scores", "exp", "sum", "weights"].includes(table) ? `head ${head + 1}, ` : "";
  if (table === "x") return [`${of} token, number ${j + 1}`, "", value];
  if (table.startsWith("w_")) return [`W_${table[2]}, from number ${j + 1} of x to number ${i + 1} of ${table[2]}`, "", value];
  if (PARTS[table]) {
    return [`${PARTS[table]} of ${of}, number ${j + 1}`, products(found.x[0][i], found[`w_${table}`][0][j]), value];
  }
  const asks = `${inHead}${of} asks ${NAMES[j]}`;
  if (table === "scores") {
    const why = hiddenBy(state, i, j), columns = share(state, head);
    if (why) return [`${asks}, hidden since ${why}`, "", value];
    const pick = rows => columns.map(c => rows[c]), sum = products(pick(found.q[0][i]), pick(found.k[0][j]));
    return [asks, `(${sum}) · ${shown(scaleOf(state))}`, value];
  }
  if (table === "exp") {
    const less = `exp(${shown(row("scores")[j])} − ${bracketed(row("largest")[0])})`;
    return [`${asks}, less the row's largest score`, less, value];
  }
  if (table === "sum") return [`${inHead}${of}, sum of its row`, row("exp").map(shown).join(" + "), value];
  if (table === "weights") {
    return [asks, `${shown(row("exp")[j])} / ${shown(row("sum")[0])}`, value];
  }
  const weights = found.weights[state.heads ? j : 0][i];
  return [`out of ${of}, number ${j + 1}`, products(weights, found.v[0].map(x => x[j])), value];
}

export function sentence(state, found, cell, guessing = false) {
  const [what, how, value] = arithmetic(state, found, cell);
  const begin = what[0].toUpperCase() + what.slice(1);
  return `${begin}: ${how ? `${how} = ` : ""}${guessing ? "?" : value}`;
}
