// Part two on the page: a sentence through the translator, what it may be wrong about, and where attention looks.

import {learnedWords, standing} from "./seen.js";
import {AVERAGES, KINDS, cellInWords, isHidden, labelsOf, nameOf, percent, weightsOf} from "./maps.js";
import {asCanvas, asSvg, asTable, drawSmall, offer} from "./pictures.js";
import {inkOf} from "./by_hand_view.js";
import {byId, gridTable, make, stopAt, watchCells} from "./tables.js";
import {drawSearch, drawStep, startSteps} from "./steps.js";
import {EOS, readable, strip} from "./tokenizer.js";
import {read} from "./translator.js";

const PAUSE = 300; // ms without a key before a typed text is translated
const live = {choice: {kind: "cross", block: 0, head: "mean"}, example: -1};
const chosen = () => new FormData(byId("live-form")).get("search");
const tokensOf = () => (chosen() === "beams" ? live.beams[0] : live.greedy).tokens;
const tell = text => { byId("live-said").textContent = text; };

// ---- the sentence --------------------------------------------------------------------------------------------

function translate() {
  const sentence = read(live.translator, byId("text").value);
  Object.assign(live, {sentence, greedy: null, beams: null, step: 0});
  byId("results").hidden = Boolean(sentence.refusal);
  if (sentence.refusal) return tell(sentence.refusal);
  live.greedy = sentence.greedy();
  show();
  setTimeout(() => live.sentence === sentence && compare());
}

function show() {
  if (chosen() === "beams") live.beams ??= live.sentence.beams();
  const {translator: {tokenizer}, sentence} = live, tokens = tokensOf();
  live.look = sentence.look(tokens);
  live.step = Math.min(live.step, tokens.length);
  const doubts = sentence.doubts(tokens, live.look), french = sentence.textOf(tokens);
  byId("french").textContent = french;
  byId("doubts").hidden = !doubts.length;
  byId("doubts").textContent = `This may be wrong: ${doubts.join("; ")}.`;
  drawTokens(tokenizer, tokens);
  drawMaps();
  drawTheStep();
  tell(`French: ${french || "nothing"}${doubts.length ? " (it may be wrong, see the note)" : ""}`);
}

function compare() {
  live.beams ??= live.sentence.beams();
  drawSearch(live.greedy, live.beams, live.sentence.textOf);
}

function chip(text, side, index, kind = "") {
  const title = {unknown: "never seen in training", seldom: "hardly ever seen in training"}[kind];
  return make("li", {class: `token ${kind}`, data: {side, index}, title}, text);
}

function drawTokens(tokenizer, tokens) {
  const chips = live.sentence.pieces.flatMap(({piece, ids}) => {
    const kind = live.translator.seen ? standing(live.translator.seen, piece.replace("▁", " ")) : "";
    return ids.map(id => [id, kind]);
  });
  const source = [...chips, [EOS, ""]].map(([id, kind], i) => chip(readable(tokenizer, id), "source", i, kind));
  byId("source-tokens").replaceChildren(...source);
  byId("source-count").textContent = `English, ${source.length} tokens`;
  byId("legend").hidden = !chips.some(([, kind]) => kind);
  const target = [...tokens, EOS].map((id, i) => chip(readable(tokenizer, id), "target", i));
  byId("target-tokens").replaceChildren(...target);
  byId("target-count").textContent = `French, ${target.length} tokens`;
}

// ---- the maps ------------------------------------------------------------------------------------------------

const labels = () => labelsOf(live.translator.tokenizer, live.sentence.ids, live.look.target, live.choice.kind);

function drawMaps() {
  const {n_layers: nBlocks, n_heads: nHeads} = live.translator.config;
  const heads = [...Array(nHeads).keys(), ...AVERAGES];
  const blocks = Array.from({length: nBlocks}, (_, block) => make("div", {class: "heads"},
    make("h4", {}, `Block ${block + 1}`),
    ...heads.map(head => {
      const name = AVERAGES.includes(head) ? head : `head ${head + 1}`, picture = make("canvas", {"aria-hidden": "true"});
      const pressed = live.choice.block === block && live.choice.head === head;
      const hidden = make("span", {class: "spoken"}, `block ${block + 1}, `);
      return make("button", {type: "button", data: {block, head}, "aria-pressed": String(pressed)}, picture, hidden, name);
    })));
  byId("pictures").replaceChildren(...blocks);
  drawTable();
  mark([]);
}

function drawTable() {
  const {choice} = live, weights = weightsOf(live.look.maps, choice), [rows, columns] = labels();
  const cell = (i, j) => {
    const w = weights.data[i * weights.d + j], data = {i, j};
    if (isHidden(choice.kind, i, j)) return {text: make("span", {class: "spoken"}, "hidden"), class: "hidden", data};
    return {text: String(Math.round(100 * w)), class: inkOf(w), style: {"--w": w}, data};
  };
  byId("map").replaceChildren(gridTable({caption: make("span", {}, `${nameOf(choice)}, in percent`), rows, columns, cell, className: "grid map"}));
  byId("map").scrollLeft = 0;
  tellWidth();
  forget();
  markStep();
}

const tellWidth = () => { byId("wider").hidden = byId("map").scrollWidth <= byId("map").clientWidth; };

let forget = () => {};

// Mark tokens, {side, index} each, everywhere they stand; in the pictures a row and a column, those of a cell if given.
function mark(places, cell = null) {
  const isMarked = ({side, index}) => places.some(x => x.side === side && x.index === Number(index));
  for (const x of byId("results").querySelectorAll("[data-side]")) x.classList.toggle("marked", isMarked(x.dataset));
  const [row, column] = labels().map(list => list.findIndex(([, place]) => isMarked(place))), found = cell ?? {row, column};
  for (const button of byId("pictures").querySelectorAll("button")) {
    drawSmall(button.firstChild, weightsOf(live.look.maps, choiceOf(button)), found);
  }
}

function choiceOf({dataset: {block, head}}) {
  return {kind: live.choice.kind, block: Number(block), head: AVERAGES.includes(head) ? head : Number(head)};
}

function pointAt(cell) {
  const {choice} = live, i = Number(cell.dataset.i), j = Number(cell.dataset.j), [rows, columns] = labels();
  stopAt(cell);
  tell(cellInWords(choice, weightsOf(live.look.maps, choice), rows, columns, i, j));
  mark([rows[i][1], columns[j][1]], {row: i, column: j});
}

// ---- word by word --------------------------------------------------------------------------------------------

function markStep() {
  const rows = byId("map").querySelectorAll("tbody tr");
  rows.forEach((row, i) => row.classList.toggle("now", live.choice.kind !== "self" && i === live.step));
}

function drawTheStep() {
  drawStep(live.translator.tokenizer, live.look, live.step, live.sentence.textOf);
  markStep();
}

function goTo(step) {
  live.step = step;
  drawTheStep();
  const {tokenizer} = live.translator, {target} = live.look, name = id => readable(tokenizer, id);
  tell(`Step ${step + 1} of ${target.length}: reads “${name(target[step])}”, writes “${name(target[step + 1] ?? EOS)}”.`);
  mark([{side: "target", index: step}]);
}

// ---- start ---------------------------------------------------------------------------------------------------

function anotherExample() {
  const examples = byId("examples").textContent.split("\n").map(strip).filter(Boolean);
  live.example = (live.example + 1) % examples.length;
  byId("text").value = examples[live.example];
  translate();
}

function about({model, seen}, arrays) {
  const size = arrays.reduce((sum, [, shape]) => sum + shape.reduce((x, y) => x * y, 1), 0).toLocaleString("en");
  const known = seen && `It knows the ${learnedWords(seen).toLocaleString("en")} English words that it met more than `
    + `twice in training, in sentences of up to ${seen.longest} words`;
  const short = `A small translator, ${size} weights in ${model.config.n_layers} + ${model.config.n_layers} blocks. `;
  return `${short}${known || "Its file does not say which words it knows"}; what it has not learned comes out wrong, now and `
    + "then in fluent French. Unknown and rare words are marked; no mark is no promise.";
}

function save({target}) {
  const [rows, columns] = labels().map(list => list.map(([text]) => text)), {kind, block, head} = live.choice;
  const map = {title: nameOf(live.choice), rows, columns, weights: weightsOf(live.look.maps, live.choice)};
  const name = `attention_${kind}_block${block + 1}_${AVERAGES.includes(head) ? head : `head${head + 1}`}`;
  const kinds = {svg: [asSvg, "image/svg+xml"], csv: [asTable, "text/csv"]}, [make_, type] = kinds[target.value] ?? [];
  if (make_) offer(new Blob([make_(map)], {type}), `${name}.${target.value}`);
  if (target.value === "png") asCanvas(map).toBlob(blob => offer(blob, `${name}.png`));
}

function startControls() {
  let timer = 0;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(translate, PAUSE);
  };
  byId("text").addEventListener("input", soon);
  byId("live-form").addEventListener("submit", event => {
    event.preventDefault();
    clearTimeout(timer);
    translate();
  });
  byId("live-form").addEventListener("change", event => event.target.name === "search" && live.greedy && show());
  byId("example").addEventListener("click", anotherExample);
  byId("kinds").addEventListener("change", event => {
    live.choice.kind = event.target.value;
    drawMaps();
  });
  byId("pictures").addEventListener("click", event => {
    const button = event.target.closest("button");
    if (!button) return;
    live.choice = choiceOf(button);
    for (const x of byId("pictures").querySelectorAll("button")) x.setAttribute("aria-pressed", String(x === button));
    drawTable();
    tell(nameOf(live.choice));
  });
  byId("save").addEventListener("click", save);
  forget = watchCells(byId("map"), pointAt);
  byId("results").addEventListener("pointerover", event => {
    const {side, index} = event.target.closest("[data-side]")?.dataset ?? {};
    if (side && !event.target.closest("td")) mark([{side, index: Number(index)}]);
  });
  startSteps({count: () => live.look?.target.length ?? 0, at: () => live.step, goTo});
  window.addEventListener("resize", tellWidth);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => live.look && mark([]));
}

export function startLive(translator, arrays) {
  live.translator = translator;
  live.choice.block = translator.config.n_layers - 1;
  for (const [value, title] of Object.entries(KINDS)) {
    const input = make("input", {type: "radio", name: "kind", value, checked: value === live.choice.kind});
    byId("kinds").append(make("label", {class: "pill"}, input, make("span", {}, title)));
  }
  byId("live-about").textContent = about(translator, arrays);
  startControls();
  anotherExample();
}
