// Text to tokens and back, as the checkpoint's tokenizer has it: byte pairs, the pair of lowest rank first.

export const [PAD, BOS, EOS, UNK] = [0, 1, 2, 3];
const MARK = "▁"; // stands for the space before a word
// What Python calls white space; JavaScript's own \s lacks five of them and has U+FEFF.
export const BLANK = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const AROUND_TEXT = new RegExp(`^[${BLANK}]+|[${BLANK}]+$`, "g");

export const strip = text => text.replace(AROUND_TEXT, "");

// character by character: a Σ at a word's end has no form of its own there
const lower = text => Array.from(text, x => x.toLowerCase()).join("");

function normalizer(part) {
  if (part.type === "NFC") return text => text.normalize("NFC");
  if (part.type === "Lowercase") return lower;
  if (part.type === "Prepend") return text => text && part.prepend + text;
  if (part.pattern.String) return text => text.replaceAll(part.pattern.String, () => part.content);
  const pattern = new RegExp(part.pattern.Regex, "gu");
  return text => text.replace(pattern, () => part.content);
}

// description: what Python's Tokenizer.to_json returns
export function buildTokenizer({normalizer: {normalizers}, pre_tokenizer: {pattern}, model}) {
  const ids = new Map(Object.entries(model.vocab)), tokens = [];
  for (const [token, id] of ids) tokens[id] = token;
  return {
    ids,
    tokens,
    ranks: new Map(model.merges.map((pair, rank) => [pair.join(" "), rank])),
    normalizers: normalizers.map(normalizer),
    pieces: new RegExp(pattern.Regex, "gu"),
  };
}

// The words, numbers and marks of a text, each with its tokens: [{piece, ids}].
export function encodePieces(tokenizer, text) {
  const plain = tokenizer.normalizers.reduce((x, change) => change(x), text);
  return Array.from(plain.matchAll(tokenizer.pieces), ([piece]) => ({
    piece,
    ids: merged(tokenizer.ranks, Array.from(piece)).map(x => tokenizer.ids.get(x) ?? UNK),
  }));
}

function merged(ranks, parts) {
  for (;;) {
    let best = Infinity, place = -1;
    for (let i = 0; i + 1 < parts.length; i++) {
      const rank = ranks.get(`${parts[i]} ${parts[i + 1]}`) ?? Infinity;
      if (rank < best) [best, place] = [rank, i];
    }
    if (place < 0) return parts;
    parts.splice(place, 2, parts[place] + parts[place + 1]);
  }
}

export function decodeText(tokenizer, ids) {
  const end = ids.indexOf(EOS), kept = (end < 0 ? ids : ids.slice(0, end)).filter(id => id > UNK);
  return kept.map(id => tokenizer.tokens[id]).join("").replaceAll(MARK, " ").replace(/^ /, "");
}

// A token to be read by people: a middle dot before one that continues a word.
export function readable(tokenizer, id) {
  const token = tokenizer.tokens[id];
  if (token.startsWith(MARK)) return token.slice(1) || "␣";
  return /^[\p{L}\p{N}]/u.test(token) ? `·${token}` : token;
}
