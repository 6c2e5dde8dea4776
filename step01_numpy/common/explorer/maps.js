// Which map of a translation is looked at, and its labels: a decoder's row belongs to what it is about to write.

import {matrix, rowOf} from "./attention.js";
import {EOS, readable} from "./tokenizer.js";

export const KINDS = {self: "Encoder self-attention", masked: "Decoder masked self-attention", cross: "Decoder cross-attention"};
export const AVERAGES = ["mean", "maximum"];

function overHeads(heads, combine) {
  const found = matrix(heads[0].n, heads[0].d);
  found.data.forEach((_, at) => { found.data[at] = combine(heads.map(x => x.data[at])); });
  return found;
}

// head: a number from 0, "mean" or "maximum"
export function weightsOf(maps, {kind, block, head}) {
  const heads = maps[kind][block];
  if (head === "maximum") return overHeads(heads, values => Math.max(...values));
  if (head === "mean") return overHeads(heads, values => values.reduce((x, y) => x + y) / values.length);
  return heads[head];
}

export const nameOf = ({kind, block, head}) =>
  `${KINDS[kind]}, block ${block + 1}, ${AVERAGES.includes(head) ? `${head} of the heads` : `head ${head + 1}`}`;

// The labels of a map, [text, {side, index}] each; index: the token's place in its sentence, without <bos>.
export function labelsOf(tokenizer, ids, target, kind) {
  const name = id => readable(tokenizer, id), place = side => (id, index) => [name(id), {side, index}];
  const source = ids.map(place("source"));
  const written = [...target.slice(1), EOS];
  const steps = target.map((id, r) => [`${name(id)} → ${name(written[r])}`, {side: "target", index: r}]);
  const seen = target.map((id, j) => [name(id), {side: "target", index: j - 1}]);
  return {self: [source, source], masked: [steps, seen], cross: [steps, source]}[kind];
}

export const isHidden = (kind, i, j) => kind === "masked" && j > i;

export const percent = (w, digits = 0) => `${(100 * w).toFixed(digits)} %`;

// In words: what a cell of a map says, and where its row looks most.
export function cellInWords(choice, weights, rows, columns, i, j) {
  const [from, to] = rows[i][0].split(" → "), at = columns[j][0], row = Array.from(rowOf(weights, i));
  const who = to ? `To write “${to}” after “${from}” it` : `“${from}”`;
  const most = row.map((w, n) => [w, n]).sort((a, b) => b[0] - a[0]).slice(0, 2).filter(([w]) => w > 0);
  const words = `Most: ${most.map(([w, n]) => `${columns[n][0]} ${percent(w)}`).join(", ")}.`;
  if (isHidden(choice.kind, i, j)) return `${who} may not look at “${at}”: hidden by the mask. ${words}`;
  return `${who} looks at “${at}”: ${percent(row[j], 1)}. ${words}`;
}
