// Attention maps as pictures: on a canvas, as SVG, and as a table for other programs.

export const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const channels = text => [1, 3, 5].map(i => parseInt(text.slice(i, i + 2), 16));

// The colour of a weight, between that of 0 and that of 1.
function shadeOf([none, full], weight) {
  const mixed = channels(none).map((x, c) => Math.round(x + weight * (channels(full)[c] - x)));
  return `#${mixed.map(x => x.toString(16).padStart(2, "0")).join("")}`;
}

// One head, small. marked: {row, column} to be framed, either of them -1 for none.
export function drawSmall(canvas, weights, marked) {
  const size = Math.max(2, Math.floor(88 / Math.max(weights.n, weights.d))), shades = [colour("--none"), colour("--full")];
  canvas.width = size * weights.d;
  canvas.height = size * weights.n;
  const pen = canvas.getContext("2d");
  weights.data.forEach((w, at) => {
    pen.fillStyle = shadeOf(shades, w);
    pen.fillRect(size * (at % weights.d), size * Math.floor(at / weights.d), size, size);
  });
  pen.strokeStyle = colour("--warn");
  pen.lineWidth = 1.5;
  if (marked.row >= 0) pen.strokeRect(0.75, size * marked.row + 0.75, canvas.width - 1.5, Math.max(1, size - 1.5));
  if (marked.column >= 0) pen.strokeRect(size * marked.column + 0.75, 0.75, Math.max(1, size - 1.5), canvas.height - 1.5);
}

const CELL = 26, LETTER = 7.2, PRINTED = ["#f0eee7", "#08406b"];

// A drawing of a map with its labels: boxes and texts, in pixels, for canvas and SVG alike.
function drawingOf({title, rows, columns, weights}) {
  const wide = labels => Math.max(...labels.map(x => x.length)) * LETTER + 12;
  const [left, top] = [wide(rows), wide(columns) + 30], boxes = [], texts = [[title, 6, 18, 0, "start"]];
  rows.forEach((label, i) => texts.push([label, left - 6, top + CELL * i + 17, 0, "end"]));
  columns.forEach((label, j) => texts.push([label, left + CELL * j + 17, top - 6, -90, "start"]));
  weights.data.forEach((w, at) => {
    boxes.push([left + CELL * (at % weights.d), top + CELL * Math.floor(at / weights.d), shadeOf(PRINTED, w)]);
  });
  const width = Math.max(left + CELL * columns.length + 8, title.length * LETTER + 12);
  return {width: Math.ceil(width), height: Math.ceil(top + CELL * rows.length + 8), boxes, texts};
}

const escaped = text => text.replace(/[&<>"]/g, x => `&#${x.charCodeAt(0)};`);

export function asSvg(map) {
  const {width, height, boxes, texts} = drawingOf(map), side = CELL - 1;
  const drawn = boxes.map(([x, y, fill]) => `<rect x="${x}" y="${y}" width="${side}" height="${side}" fill="${fill}"/>`);
  const written = texts.map(([text, x, y, turn, anchor]) =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}" transform="rotate(${turn} ${x} ${y})">${escaped(text)}</text>`);
  const style = 'font-family="sans-serif" font-size="13" fill="#1c1c1a"';
  const paper = '<rect width="100%" height="100%" fill="#fbfaf7"/>';
  const open = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ${style}>`;
  return [open, paper, ...drawn, ...written, "</svg>\n"].join("\n");
}

export function asCanvas(map) {
  const {width, height, boxes, texts} = drawingOf(map), canvas = document.createElement("canvas"), scale = 2;
  Object.assign(canvas, {width: width * scale, height: height * scale});
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.fillStyle = "#fbfaf7";
  pen.fillRect(0, 0, width, height);
  for (const [x, y, fill] of boxes) {
    pen.fillStyle = fill;
    pen.fillRect(x, y, CELL - 1, CELL - 1);
  }
  pen.fillStyle = "#1c1c1a";
  pen.font = "13px sans-serif";
  for (const [text, x, y, turn, anchor] of texts) {
    pen.save();
    pen.translate(x, y);
    pen.rotate((turn * Math.PI) / 180);
    pen.textAlign = anchor;
    pen.fillText(text, 0, 0);
    pen.restore();
  }
  return canvas;
}

// Comma-separated values with the labels; all digits of the weights.
export function asTable({rows, columns, weights}) {
  const quoted = text => `"${text.replaceAll('"', '""')}"`, lines = [["", ...columns].map(quoted)];
  rows.forEach((label, i) => lines.push([quoted(label), ...weights.data.subarray(i * weights.d, (i + 1) * weights.d)]));
  return `${lines.map(x => x.join(",")).join("\r\n")}\r\n`;
}

export function offer(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
