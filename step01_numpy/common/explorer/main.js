// Open the page: part one at once, then the model.

import {byHand, courseState} from "./by_hand.js";
import {startHand} from "./by_hand_view.js";
import {startLive} from "./live.js";
import {byId} from "./tables.js";
import {buildTranslator, read} from "./translator.js";

function start() {
  const data = JSON.parse(byId("data").textContent);
  startHand();
  const translator = buildTranslator(data, byId("weights").textContent);
  startLive(translator, data.arrays);
  window.explorer = {opened: performance.now(), read: text => read(translator, text), byHand, courseState};
}

start();
