"""The explorer's engine, run by Node: the script as the page has it, and a driver behind it."""

import json
import shutil
import subprocess

import numpy as np
import pytest

from step01_numpy.common.explorer.bundle import ENGINE, bundle
from step01_numpy.common.explorer.page import about, packed

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(
    NODE is None, reason="no node on the path, which runs the explorer's JavaScript"
)

READ = """
const {readFileSync, writeSync} = require("fs");
const asked = JSON.parse(readFileSync(process.argv[2], "utf8"));
const replacer = (key, x) => x === -Infinity ? "-inf" : x;
const answer = x => { for (let text = JSON.stringify(x, replacer), at = 0; at < text.length; at += 65536)
  writeSync(1, text.slice(at, at + 65536)); };
"""
TRANSLATE = """
const translator = buildTranslator(asked.data, asked.weights);
const place = process.argv[3];
answer(asked.texts.map(text => {
  const found = read(translator, text);
  if (found.refusal || !asked.search) {
    const doubts = translator.seen ? notLearned(translator.seen, text) : [];
    return {ids: found.ids, refusal: found.refusal, doubts};
  }
  const greedy = found.greedy(), beams = found.beams(), look = found.look(greedy.tokens);
  const bytes = ({data: {buffer, byteOffset, byteLength}}) => Buffer.from(buffer, byteOffset, byteLength);
  const write = x => require("fs").appendFileSync(place, bytes(x));
  for (const kind of ["self", "masked", "cross"]) look.maps[kind].flat().forEach(write);
  write(look.logits);
  const text_ = found.textOf(greedy.tokens), doubts = found.doubts(greedy.tokens, look);
  return {ids: found.ids, greedy, beams, text: text_, doubts, best: look.best};
}));
"""


def run(driver: str, asked, folder, numbers=None):
    """Run a driver that finds `asked` and calls `answer`, and return the answer."""
    script, question = folder / "engine.cjs", folder / "asked.json"
    script.write_text(f'"use strict";\n{bundle(ENGINE)}\n{READ}\n{driver}', encoding="utf-8")
    question.write_text(json.dumps(asked), encoding="utf-8")
    command = [NODE, str(script), str(question), *([str(numbers)] if numbers else [])]
    done = subprocess.run(command, capture_output=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout.decode())


def dtype_of(checkpoint):
    """Return the dtype in which a page would carry the weights."""
    return np.float16 if checkpoint.state["embedding.weight"].dtype == np.float16 else np.float32


def translate(checkpoint, texts, folder, *, search=True):
    """Return what the engine makes of texts, and with `search` all maps and logits, one flat array."""
    dtype, numbers = dtype_of(checkpoint), folder / "numbers"
    numbers.unlink(missing_ok=True)
    asked = {"data": about(checkpoint, dtype), "weights": packed(checkpoint.state, dtype)}
    found = run(TRANSLATE, {**asked, "texts": texts, "search": search}, folder, numbers)
    return found, np.fromfile(numbers, "<f8") if numbers.exists() else np.zeros(0)
