// What a translator has not learned, in the words of the command line.

import {BLANK, strip} from "./tokenizer.js";

const SELDOM = 2; // a word met no more often than this has not been learned
const CUTOFF = 0.75;
const UNSURE = 0.78; // mean probability of its tokens below which a translation is noted

// known: {counts, longest, folds, plain} of the checkpoint; folds: characters whose case folds to no lower case
export function buildSeen({counts, longest, folds, plain}) {
  const words = new Map(), found = counts.trim().split(" ");
  for (let i = 0; i + 1 < found.length; i += 2) words.set(found[i], Number(found[i + 1]));
  return {words, longest, folds: new Map(Object.entries(folds)), plain: new Map(Object.entries(plain))};
}

const WORDS = new RegExp(`[\\p{L}\\p{N}_]+|[^\\p{L}\\p{N}_${BLANK}!-~]`, "gu");

export function wordsOf(seen, text) {
  return Array.from(text, x => seen.plain.get(x) ?? x).join("").match(WORDS) ?? [];
}

const folded = (seen, word) => Array.from(word, x => seen.folds.get(x) ?? x.toLowerCase()).join("");

export const countOf = (seen, word) => seen.words.get(folded(seen, word)) ?? 0;

// "unknown", "seldom" or "" of a piece of text
export function standing(seen, text) {
  const least = Math.min(...wordsOf(seen, text).map(word => countOf(seen, word)));
  return least === 0 ? "unknown" : least <= SELDOM ? "seldom" : "";
}

export const learnedWords = seen => Array.from(seen.words.values()).filter(n => n > SELDOM).length;

export function notLearned(seen, text) {
  const words = wordsOf(seen, text), different = Array.from(new Set(words)), said = [];
  const unknown = different.filter(word => countOf(seen, word) === 0);
  const seldom = different.filter(word => countOf(seen, word) > 0 && countOf(seen, word) <= SELDOM);
  if (unknown.length) said.push(`never seen in training: ${unknown.map(x => withNearest(seen, x)).join(", ")}`);
  if (seldom.length) said.push(`hardly ever seen in training: ${seldom.join(", ")}`);
  if (words.length > seen.longest) {
    said.push(`${words.length} words, where hardly a sentence in training had more than ${seen.longest}`);
  }
  return said;
}

function withNearest(seen, word) {
  const nearest = nearestWord(seen, word);
  return nearest ? `${word} (${nearest}?)` : word;
}

// The learned word of nearest spelling, as Python's difflib finds it; of equals the last in the alphabet.
function nearestWord(seen, word) {
  const letters = Array.from(folded(seen, word)); // ß has become two
  let best = CUTOFF, nearest = null;
  for (const [known, n] of seen.words) {
    const other = Array.from(known), total = letters.length + other.length;
    if (n <= SELDOM || other[0] !== letters[0]) continue;
    if ((2 * Math.min(letters.length, other.length)) / total < best) continue;
    const ratio = (2 * matching(other, letters)) / total;
    if (ratio >= best) [best, nearest] = [ratio, known];
  }
  return nearest;
}

// Characters in common blocks: the longest block, then what is left and right of it.
function matching(a, b) {
  let size = 0, atA = 0, atB = 0;
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < b.length; j++) {
      let n = 0;
      while (i + n < a.length && j + n < b.length && a[i + n] === b[j + n]) n++;
      if (n > size) [size, atA, atB] = [n, i, j];
    }
  }
  if (!size) return 0;
  return size + matching(a.slice(0, atA), b.slice(0, atB)) + matching(a.slice(atA + size), b.slice(atB + size));
}

const BETWEEN = new RegExp(`[${BLANK}]+`);
const parted = text => strip(text).split(BETWEEN).filter(Boolean);

// The note on an unsure translation, or none. logs: of the probabilities of its tokens and of its end; beginnings:
// the translation up to each of them. It names the least probable word; the end counts with the last.
export function unsure(logs, beginnings) {
  if (Math.exp(logs.reduce((sum, x) => sum + x, 0) / logs.length) >= UNSURE) return [];
  const words = parted(beginnings.at(-1)), sums = words.map(() => 0);
  logs.forEach((x, i) => { sums[Math.max(0, parted(beginnings[i]).length - 1)] += x; });
  const least = words.length ? `, most of all of “${words[sums.indexOf(Math.min(...sums))]}”` : "";
  return [`the model is unsure${least}: the mean probability of its tokens is under ${UNSURE}`];
}

const TIMES = 3, PERIOD = 4;

export function repeatsItself(tokens) {
  for (let period = 1; period <= PERIOD; period++) {
    let run = 0; // how many tokens in a row equal the one a period before
    for (let i = period; i < tokens.length; i++) {
      run = tokens[i] === tokens[i - period] ? run + 1 : 0;
      if (run === (TIMES - 1) * period) return true;
    }
  }
  return false;
}
