// The most probable continuation: greedily, or with beams, by the rules of step01's search.

import {rowOf, toRows} from "./attention.js";
import {BOS, EOS} from "./tokenizer.js";
import {NOTHING, decode} from "./transformer.js";

export function logProbabilities(logits) {
  let largest = -Infinity, total = 0;
  for (const x of logits) largest = Math.max(largest, x);
  for (const x of logits) total += Math.exp(x - largest);
  const all = largest + Math.log(total);
  return logits.map(x => x - all);
}

// The `n` largest of a list, [[value, place], …]; of equals the first.
export function largestOf(values, n) {
  const best = [];
  for (let place = 0; place < values.length; place++) {
    if (best.length === n && values[place] <= best[n - 1][0]) continue;
    let at = best.length;
    while (at > 0 && best[at - 1][0] < values[place]) at--;
    best.splice(at, 0, [values[place], place]);
    if (best.length > n) best.pop();
  }
  return best;
}

const penalty = length => ((5 + length) / 6) ** 0.6;

// Returns {tokens, logProbability, score}, the score being by the penalty of beams, to compare them; and leaves in
// `steps` the logits and maps of each step.
export function greedy(model, memory, limit, steps = []) {
  const tokens = [];
  let cache = NOTHING, newest = BOS, sum = 0;
  while (tokens.length < limit) {
    const {logits, parts} = decode(model, memory, [{cache, ids: [newest]}]);
    const [[value, place]] = largestOf(logProbabilities(logits.data), 1);
    cache = parts[0].cache;
    steps.push({logits, maps: parts[0].maps});
    sum += value;
    tokens.push(newest = place);
    if (newest === EOS) break;
  }
  return ended(tokens, sum);
}

function ended(tokens, logProbability) {
  const kept = tokens.at(-1) === EOS ? tokens.slice(0, -1) : tokens;
  return {tokens: kept, logProbability, score: logProbability / penalty(tokens.length)};
}

// Returns the ends found, at most `beam` of them, the best first.
export function beamSearch(model, memory, beam, limit) {
  let going = [{tokens: [], sum: 0, cache: NOTHING}], kept = [];
  for (let length = 1; going.length; length++) {
    const parts = going.map(({cache, tokens}) => ({cache, ids: [tokens.at(-1) ?? BOS]}));
    const step = decode(model, memory, parts);
    const candidates = nextTokens(going, step, 2 * beam);
    const ends = candidates.map(({tokens}) => tokens.at(-1) === EOS || length >= limit);
    const found = candidates.filter((_, i) => i < beam && ends[i]).map(({tokens, sum}) => ended(tokens, sum));
    kept = [...kept, ...found].sort((a, b) => b.score - a.score).slice(0, beam);
    going = candidates.filter((_, i) => !ends[i]).slice(0, beam);
    const reachable = going.length && going[0].sum / Math.max(penalty(length + 1), penalty(limit));
    if (kept.length && going.length && reachable <= kept[0].score) break; // no longer one can be the best
  }
  return kept;
}

function nextTokens(going, {logits, parts}, enough) {
  const all = going.flatMap(({sum}, p) => {
    const best = largestOf(logProbabilities(rowOf(logits, p)), enough);
    return best.map(([value, token]) => ({parent: p, token, sum: sum + value}));
  });
  return largestOf(all.map(x => x.sum), enough).map(([sum, place]) => {
    const {parent, token} = all[place];
    return {tokens: [...going[parent].tokens, token], sum, cache: parts[parent].cache};
  });
}

// The five most probable next tokens of each step, [[{id, probability}, …], …].
export const fiveBest = logits => toRows(logits).map(row =>
  largestOf(logProbabilities(row), 5).map(([value, id]) => ({id, probability: Math.exp(value)})));

// The logarithms of the probabilities of tokens, each by its row of logits; the last may have none.
export const tokenLogProbabilities = (logits, tokens) =>
  toRows(logits).slice(0, tokens.length).map((row, i) => logProbabilities(row)[tokens[i]]);
