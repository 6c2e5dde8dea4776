// One sentence through the translator, and all that can be seen on the way. No part of the page is touched here.

import {matrix} from "./attention.js";
import {buildSeen, notLearned, repeatsItself, unsure} from "./seen.js";
import {beamSearch, fiveBest, greedy, tokenLogProbabilities} from "./search.js";
import {BOS, EOS, buildTokenizer, decodeText, encodePieces, strip} from "./tokenizer.js";
import {NOTHING, buildModel, decode, encode} from "./transformer.js";
import {readWeights} from "./weights.js";

export const BEAMS = 4;

// data: what the page carries; base64: the weights
export function buildTranslator(data, base64) {
  return {
    config: data.model,
    model: buildModel(data.model, readWeights(data.arrays, data.halves, base64)),
    tokenizer: buildTokenizer(data.tokenizer),
    seen: data.seen && buildSeen(data.seen),
  };
}

// The tokens of a text with <eos>, or a sentence that says why there are none to translate.
export function sourceOf({config, tokenizer}, text) {
  const pieces = encodePieces(tokenizer, strip(text)), ids = [...pieces.flatMap(x => x.ids), EOS];
  if (ids.length === 1) return {pieces, ids, refusal: "Type a sentence in English."};
  if (ids.length <= config.max_positions) return {pieces, ids, refusal: ""};
  const most = config.max_positions;
  return {pieces, ids, refusal: `The text has ${ids.length} tokens, <eos> included; the model takes at most ${most}.`};
}

const longest = (config, ids) => Math.min(2 * ids.length + 10, config.max_positions);

// How probable the model finds each token of a translation, and its end: log p.
export const sureness = (tokens, logits) => tokenLogProbabilities(logits, [...tokens, EOS]);

// Read once; greedy() and beams() then search, look(tokens) shows a translation's maps and five best, and
// doubts(tokens, look(tokens)) says why it may be wrong.
export function read(translator, text) {
  const {config, model, tokenizer, seen} = translator, source = sourceOf(translator, text);
  if (source.refusal) return source;
  const {maps, memory} = encode(model, source.ids), limit = longest(config, source.ids);
  let steps = [], written = [];
  const beginnings = tokens => [...tokens, EOS].map((_, i) => decodeText(tokenizer, tokens.slice(0, i + 1)));
  return {
    ...source,
    greedy: () => {
      const found = greedy(model, memory, limit, steps = []);
      written = found.tokens;
      return found;
    },
    beams: () => beamSearch(model, memory, BEAMS, limit),
    textOf: tokens => decodeText(tokenizer, tokens),
    doubts: (tokens, {logits}) => [
      ...(seen ? notLearned(seen, text) : []),
      ...(seen ? unsure(sureness(tokens, logits), beginnings(tokens)) : []),
      ...(tokens.length >= limit - 1 ? ["the translation does not come to an end"] : []),
      ...(repeatsItself(tokens) ? ["the translation repeats itself"] : []),
    ],
    look: tokens => {
      const target = [BOS, ...tokens.slice(0, config.max_positions - 1)];
      const known = target.length === steps.length && tokens.join() === written.join();
      const {logits, maps: found} = known ? together(steps) : atOnce(model, memory, target);
      return {target, logits, maps: {self: maps, ...found}, best: fiveBest(logits)};
    },
  };
}

function atOnce(model, memory, ids) {
  const {logits, parts: [{maps}]} = decode(model, memory, [{cache: NOTHING, ids}]);
  return {logits, maps};
}

// The steps of a search as one pass over its tokens has them: a row of logits and of each map a step.
function together(steps) {
  const last = steps.at(-1);
  const stacked = (rows, d) => rows.reduce((all, {data}, i) => (all.data.set(data, i * d), all), matrix(rows.length, d));
  const whole = kind => last.maps[kind].map((heads, b) =>
    heads.map(({d}, h) => stacked(steps.map(({maps}) => maps[kind][b][h]), d)));
  return {
    logits: stacked(steps.map(({logits}) => logits), last.logits.d),
    maps: {masked: whole("masked"), cross: whole("cross")},
  };
}
