// The Transformer of 2017 with pre-norm: an encoder reads, a decoder writes and looks back at what was read.

import {byHeads, dot, matrix, rowOf, rowsOf} from "./attention.js";

// x wᵀ + b, two rows at a time in tiles of four columns, the last of an odd number alone in tiles of eight: always
// eight sums that do not wait for each other.
function linear(x, w, b) {
  const out = matrix(x.n, w.n);
  for (let i = 0; i < x.n; i += 2) {
    const rows = i + 1 < x.n ? [i, i + 1] : [i], width = 8 / rows.length, whole = w.n - (w.n % width);
    for (let j = 0; j < whole; j += width) (rows.length === 2 ? pair : alone)(out, x.data, w.data, x.d, i, j);
    for (let j = whole; j < w.n; j++) {
      for (const row of rows) out.data[row * w.n + j] = dot(rowOf(x, row), rowOf(w, j));
    }
  }
  if (b) for (let at = 0; at < out.data.length; at++) out.data[at] += b.data[at % w.n];
  return out;
}

function pair(out, x, w, d, i, j) {
  let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
  for (let m = 0, xa = i * d, xb = xa + d, at = j * d; m < d; m++, xa++, xb++, at++) {
    const p = x[xa], q = x[xb], w0 = w[at], w1 = w[at + d], w2 = w[at + 2 * d], w3 = w[at + 3 * d];
    a0 += p * w0;
    a1 += p * w1;
    a2 += p * w2;
    a3 += p * w3;
    b0 += q * w0;
    b1 += q * w1;
    b2 += q * w2;
    b3 += q * w3;
  }
  out.data.set([a0, a1, a2, a3], i * out.d + j);
  out.data.set([b0, b1, b2, b3], (i + 1) * out.d + j);
}

function alone(out, x, w, d, i, j) {
  let a0 = 0, a1 = 0, a2 = 0, a3 = 0, a4 = 0, a5 = 0, a6 = 0, a7 = 0;
  for (let m = 0, xa = i * d, at = j * d; m < d; m++, xa++, at++) {
    const p = x[xa];
    a0 += p * w[at];
    a1 += p * w[at + d];
    a2 += p * w[at + 2 * d];
    a3 += p * w[at + 3 * d];
    a4 += p * w[at + 4 * d];
    a5 += p * w[at + 5 * d];
    a6 += p * w[at + 6 * d];
    a7 += p * w[at + 7 * d];
  }
  out.data.set([a0, a1, a2, a3, a4, a5, a6, a7], i * out.d + j);
}

export function buildModel(config, weights) {
  const at = name => weights.get(name);
  return {
    config,
    embedding: at("embedding.weight"),
    linear: (name, x) => linear(x, at(`${name}.weight`), at(`${name}.bias`)),
    norm: (name, x) => layerNorm(x, at(`${name}.weight`).data, at(`${name}.bias`).data, config.norm_eps),
  };
}

function layerNorm(x, weight, bias, eps) {
  const out = matrix(x.n, x.d);
  for (let i = 0; i < x.n; i++) {
    const row = rowOf(x, i), mean = row.reduce((a, b) => a + b) / x.d;
    const variance = row.reduce((sum, a) => sum + (a - mean) ** 2, 0) / x.d, deviation = Math.sqrt(variance + eps);
    for (let c = 0; c < x.d; c++) out.data[i * x.d + c] = ((row[c] - mean) / deviation) * weight[c] + bias[c];
  }
  return out;
}

// Rows of the embedding times √d_model, plus sines in the even columns and cosines in the odd ones.
function embed({embedding, config}, ids, positions) {
  const d = config.d_model, x = matrix(ids.length, d);
  ids.forEach((id, i) => {
    for (let c = 0; c < d; c++) {
      const angle = positions[i] / 10000 ** ((c - (c % 2)) / d);
      const position = c % 2 ? Math.cos(angle) : Math.sin(angle);
      x.data[i * d + c] = embedding.data[id * d + c] * Math.sqrt(d) + position;
    }
  });
  return x;
}

function residual(model, name, x, sublayer) {
  const found = sublayer(model.norm(`${name}_residual.norm`, x));
  for (let i = 0; i < x.data.length; i++) found.data[i] += x.data[i];
  return found;
}

function feedForward(model, name, x) {
  const hidden = model.linear(`${name}.w_1`, x);
  for (let i = 0; i < hidden.data.length; i++) hidden.data[i] = Math.max(0, hidden.data[i]);
  return model.linear(`${name}.w_2`, hidden);
}

const blocksOf = model => Array.from({length: model.config.n_layers}, (_, b) => b);
const count = (n, start = 0) => Array.from({length: n}, (_, i) => start + i);

// Read a source: its maps, [block][head], and for each block of the decoder the keys and values to look back at.
export function encode(model, ids) {
  const maps = [];
  let x = embed(model, ids, count(ids.length));
  for (const b of blocksOf(model)) {
    const name = `encoder.blocks.${b}`, own = `${name}.self_attention`;
    x = residual(model, own, x, rows => {
      const [q, k, v] = ["q", "k", "v"].map(part => model.linear(`${own}.w_${part}`, rows));
      const {out, heads} = byHeads(q, k, v, model.config.n_heads, () => true);
      maps.push(heads.map(head => head.weights));
      return model.linear(`${own}.w_o`, out);
    });
    x = residual(model, `${name}.feed_forward`, x, rows => feedForward(model, `${name}.feed_forward`, rows));
  }
  x = model.norm("encoder.norm", x);
  const memory = blocksOf(model).map(b => {
    const name = `decoder.blocks.${b}.cross_attention`;
    return {k: model.linear(`${name}.w_k`, x), v: model.linear(`${name}.w_v`, x)};
  });
  return {maps, memory};
}

// What a decoder remembers of the tokens so far; never changed in place, so that beams may share it.
export const NOTHING = {length: 0, blocks: []};

function below(x, more) {
  if (!x) return more;
  const found = matrix(x.n + more.n, x.d);
  found.data.set(x.data);
  found.data.set(more.data, x.data.length);
  return found;
}

// parts: [{cache, ids}], sequences that go on. Returns the logits of what follows each token, one row a token in
// the order of the parts, and for each part its new cache and its maps, {masked, cross}, both [block][head].
export function decode(model, memory, parts) {
  const starts = parts.map((_, p) => parts.slice(0, p).reduce((n, part) => n + part.ids.length, 0));
  const found = parts.map(({cache, ids}) => ({
    cache: {length: cache.length + ids.length, blocks: []},
    maps: {masked: [], cross: []},
  }));
  let x = embed(model, parts.flatMap(x => x.ids), parts.flatMap(x => count(x.ids.length, x.cache.length)));
  const attend = (name, kind, rows, keysOf, visible) => {
    const q = model.linear(`${name}.w_q`, rows), out = matrix(q.n, q.d);
    parts.forEach((part, p) => {
      const from = starts[p], {k, v} = keysOf(p, from, from + part.ids.length);
      const asked = rowsOf(q, from, from + part.ids.length);
      const {out: mine, heads} = byHeads(asked, k, v, model.config.n_heads, visible(part.cache.length));
      out.data.set(mine.data, from * q.d);
      found[p].maps[kind].push(heads.map(head => head.weights));
    });
    return model.linear(`${name}.w_o`, out);
  };
  for (const b of blocksOf(model)) {
    const name = `decoder.blocks.${b}`, own = `${name}.self_attention`, cross = `${name}.cross_attention`;
    x = residual(model, own, x, rows => {
      const k = model.linear(`${own}.w_k`, rows), v = model.linear(`${own}.w_v`, rows);
      const keysOf = (p, from, to) => {
        const before = parts[p].cache.blocks[b] ?? {};
        const all = {k: below(before.k, rowsOf(k, from, to)), v: below(before.v, rowsOf(v, from, to))};
        found[p].cache.blocks.push(all);
        return all;
      };
      return attend(own, "masked", rows, keysOf, length => (i, j) => j <= i + length);
    });
    x = residual(model, cross, x, rows => attend(cross, "cross", rows, () => memory[b], () => () => true));
    x = residual(model, `${name}.feed_forward`, x, rows => feedForward(model, `${name}.feed_forward`, rows));
  }
  return {logits: linear(model.norm("decoder.norm", x), model.embedding), parts: found};
}
