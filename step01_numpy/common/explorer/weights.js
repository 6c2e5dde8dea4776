// The arrays of a checkpoint, by name, out of the base64 text that the page carries.

// The 65,536 numbers of 16 bits, each at the place that its bits spell.
function halfTable() {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 32768; bits++) {
    const exponent = bits >> 10, fraction = bits & 1023;
    const normal = (1 + fraction / 1024) * 2 ** (exponent - 15);
    table[bits] = exponent === 0 ? fraction * 2 ** -24 : normal;
    table[bits + 32768] = -table[bits];
  }
  return table;
}

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// arrays: [[name, shape], …] in the order of their numbers; halves: whether those have 16 bits or 32.
export function readWeights(arrays, halves, base64) {
  const {buffer} = bytesOf(base64);
  const all = halves ? widened(new Uint16Array(buffer)) : new Float32Array(buffer);
  const weights = new Map();
  let start = 0;
  for (const [name, shape] of arrays) {
    const end = start + shape.reduce((x, y) => x * y, 1);
    weights.set(name, {n: shape[0], d: shape.at(-1), data: all.subarray(start, end)});
    start = end;
  }
  return weights;
}

function widened(halves) {
  const table = halfTable(), found = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) found[i] = table[halves[i]];
  return found;
}
