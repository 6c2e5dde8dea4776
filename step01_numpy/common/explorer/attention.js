// Attention, softmax(q kᵀ · scale) v, with all that is computed on the way. Both parts of the page use it.

// n rows of d numbers, one row after the other.
export const matrix = (n, d, data = new Float64Array(n * d)) => ({n, d, data});

export const fromRows = rows => matrix(rows.length, rows[0].length, Float64Array.from(rows.flat()));

export const toRows = x => Array.from({length: x.n}, (_, i) => Array.from(rowOf(x, i)));

export const rowOf = (x, i) => x.data.subarray(i * x.d, (i + 1) * x.d);

export const rowsOf = (x, from, to) => matrix(to - from, x.d, x.data.subarray(from * x.d, to * x.d));

export function columnsOf(x, from, to) {
  const found = matrix(x.n, to - from);
  for (let i = 0; i < x.n; i++) found.data.set(x.data.subarray(i * x.d + from, i * x.d + to), i * found.d);
  return found;
}

// q: L rows; k, v: S rows; visible(i, j): whether query i may look at key j.
export function attention(q, k, v, visible, scale = 1 / Math.sqrt(q.d)) {
  const found = {largest: [], sums: [], out: matrix(q.n, v.d)};
  for (const name of ["scores", "exp", "weights"]) found[name] = matrix(q.n, k.n);
  for (let i = 0; i < q.n; i++) {
    const scores = rowOf(found.scores, i), exp = rowOf(found.exp, i), weights = rowOf(found.weights, i);
    for (let j = 0; j < k.n; j++) scores[j] = visible(i, j) ? dot(rowOf(q, i), rowOf(k, j)) * scale : -Infinity;
    found.largest.push(Math.max(...scores));
    for (let j = 0; j < k.n; j++) exp[j] = Math.exp(scores[j] - found.largest[i]);
    found.sums.push(exp.reduce((x, y) => x + y));
    const out = rowOf(found.out, i);
    for (let j = 0; j < k.n; j++) {
      weights[j] = exp[j] / found.sums[i];
      const value = rowOf(v, j);
      for (let c = 0; c < v.d; c++) out[c] += weights[j] * value[c];
    }
  }
  return found;
}

export function dot(x, y) {
  let sum = 0;
  for (let c = 0; c < x.length; c++) sum += x[c] * y[c];
  return sum;
}

// Attention by several heads, each on its share of the columns.
export function byHeads(q, k, v, nHeads, visible, scale) {
  const out = matrix(q.n, v.d), size = q.d / nHeads, heads = [];
  for (let h = 0; h < nHeads; h++) {
    const [qh, kh, vh] = [q, k, v].map(x => columnsOf(x, h * size, (h + 1) * size));
    const head = attention(qh, kh, vh, visible, scale);
    for (let i = 0; i < q.n; i++) out.data.set(rowOf(head.out, i), i * out.d + h * size);
    heads.push(head);
  }
  return {out, heads};
}
