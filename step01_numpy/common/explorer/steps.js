// The translation word by word, with its five best at each step, played or stepped; and greedy against beams.

import {percent} from "./maps.js";
import {byId, make} from "./tables.js";
import {EOS, readable} from "./tokenizer.js";
import {BEAMS} from "./translator.js";

const PACE = 900; // ms between steps that are played

export function drawStep(tokenizer, look, step, textOf) {
  const written = look.target[step + 1] ?? EOS, name = id => readable(tokenizer, id), sofar = textOf(look.target.slice(1, step + 1));
  byId("step").max = look.target.length - 1;
  byId("step").value = step;
  byId("sofar").replaceChildren(sofar ? `${sofar} ` : "", make("b", {}, name(written)));
  byId("read").textContent = name(look.target[step]);
  byId("step-number").textContent = `${step + 1} of ${look.target.length}`;
  const rows = look.best[step].map(({id, probability}) => make("tr", {class: id === written ? "written" : ""},
    make("th", {scope: "row"}, name(id), ...(id === written ? [make("span", {class: "soft"}, " ← written")] : [])),
    make("td", {}, percent(probability, 1)),
    make("td", {class: "bar", "aria-hidden": "true"}, make("i", {style: {"--w": probability}}))));
  byId("best").replaceChildren(...rows);
}

export function drawSearch(greedy, beams, textOf) {
  const all = [["greedy", greedy], ...beams.map((x, i) => [`${BEAMS} beams, ${i + 1}`, x])];
  const rows = all.map(([name, {tokens, logProbability, score}]) => make("tr", {},
    make("th", {scope: "row"}, name), make("td", {lang: "fr"}, textOf(tokens)),
    ...[logProbability, score].map(x => make("td", {class: "number"}, x.toFixed(3).replace("-", "−")))));
  byId("ends").replaceChildren(...rows);
  const same = greedy.tokens.join() === beams[0].tokens.join();
  byId("verdict").textContent = same ? "Both find the same translation." : "Beams find another translation, of a higher score or as good.";
}

// count(), at(), goTo(step): of the translation on the page.
export function startSteps({count, at, goTo}) {
  let timer = 0;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    byId("play").textContent = "Play";
  };
  const to = step => {
    if (step >= 0 && step < count()) goTo(step);
    if (step >= count() - 1) stop();
  };
  byId("play").addEventListener("click", () => {
    if (timer) return stop();
    byId("play").textContent = "Pause";
    timer = setInterval(() => to(at() + 1), PACE);
    to(at() + 1 < count() ? at() : 0);
  });
  for (const [id, by] of [["back", -1], ["next", 1]]) {
    byId(id).addEventListener("click", () => {
      stop();
      to(at() + by);
    });
  }
  byId("step").addEventListener("input", event => {
    stop();
    to(Number(event.target.value));
  });
}
