"""The page is one whole file: modules in order, nothing to load, nothing that breaks out of a script."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from importlib import import_module

import numpy as np
import pytest

from step01_numpy.common.commands.command_line import main
from step01_numpy.common.commands.context import SHIPPED
from step01_numpy.common.configuration.model import ModelConfig
from step01_numpy.common.explorer import bundle as bundling
from step01_numpy.common.explorer import page as paging
from step01_numpy.common.explorer.bundle import PAGE, bundle
from step01_numpy.common.explorer.page import LARGEST, page
from step01_numpy.common.inference.doubts import not_learned
from step01_numpy.common.training.checkpoints import Checkpoint, load, save
from tests.tiny import tiny_checkpoint, tiny_recurrent


class Reader(HTMLParser):
    """Collects ids, what scripts hold by id, and whatever asks for another file."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.scripts, self.asks, self.open = [], {}, [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids += [found["id"]] if "id" in found else []
        self.asks += [x for x in ("src", "srcset", "data", "action") if x in found]
        self.asks += [found["href"]] if not found.get("href", "#").startswith("#") else []
        self.open = found.get("id", found.get("type")) if tag == "script" else None

    def handle_data(self, data):
        if self.open:
            self.scripts[self.open] = self.scripts.get(self.open, "") + data


# ---- the script ----------------------------------------------------------------------------------------


def test_the_script_needs_no_other_file():
    text = bundle()
    assert not re.search(r"^\s*(import|export)\b", text, re.MULTILINE)
    assert [name for name in re.findall(r"^// ---- (\w+) ----$", text, re.MULTILINE)] == list(PAGE)


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        (
            {"a": 'import {x} from "./b.js";\n', "b": "export const x = 1;\n"},
            "a imports x, which b, before it",
        ),
        ({"a": "const y = 1;\n", "b": 'import {y} from "./a.js";\n'}, "b imports y, which a, before it"),
        ({"a": "const x = 1;\n", "b": "function x() {}\n"}, "b declares x, as a does"),
        ({"a": "export const [x, y] = [1, 2];\n", "b": "let y;\n"}, "b declares y, as a does"),
        ({"a": 'import x from "./b.js";\n'}, "a keeps 'import x from"),
        ({"a": "const x = 1;\nexport {x};\n"}, "a keeps 'export {x};'"),
        ({"a": "const x = '</SCRIPT>';\n"}, "a holds </script"),
    ],
)
def test_what_cannot_be_joined(monkeypatch, modules, said):
    monkeypatch.setattr(bundling, "source", modules.__getitem__)
    with pytest.raises(ValueError, match=re.escape(said)):
        bundle(list(modules))


# ---- the page ------------------------------------------------------------------------------------------


def test_the_page_is_whole_and_asks_for_nothing():
    checkpoint = tiny_checkpoint()
    found = Reader(page(checkpoint).decode())
    assert found.asks == []
    assert len(found.ids) == len(set(found.ids))
    data = json.loads(found.scripts["data"])
    assert data["model"] == checkpoint.config.to_dict()
    assert ["embedding.weight", [90, 8]] in data["arrays"]
    assert not data["halves"]
    wanted = set(re.findall(r'byId\("([\w-]+)"\)', found.scripts["module"]))
    assert wanted <= set(found.ids), wanted - set(found.ids)


def test_no_text_of_a_model_ends_a_script():
    checkpoint = tiny_checkpoint()
    seen = dataclasses.replace(load(SHIPPED).seen, counts=" </script><b> 3 ")
    text = page(Checkpoint(checkpoint.state, checkpoint.config, checkpoint.tokenizer, seen=seen)).decode()
    assert json.loads(Reader(text).scripts["data"])["seen"]["counts"] == " </script><b> 3 "


def test_the_shipped_translator_fits():
    assert len(page(load(SHIPPED))) <= LARGEST


def test_the_examples_are_known_to_the_shipped_translator():
    seen = load(SHIPPED).seen
    lines = (paging.HERE / "examples.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(set(lines)) >= 12
    assert [doubt for line in lines for doubt in not_learned(seen, line)] == []


def test_large_weights_are_kept_in_16_bits(monkeypatch):
    checkpoint = tiny_checkpoint()
    sizes = {dtype: len(paging.packed(checkpoint.state, dtype)) for dtype in (np.float32, np.float16)}
    assert sizes[np.float32] == pytest.approx(2 * sizes[np.float16], abs=4)
    monkeypatch.setattr(paging, "LARGEST", len(page(checkpoint)) - 1)
    assert json.loads(Reader(page(checkpoint).decode()).scripts["data"])["halves"]
    monkeypatch.setattr(paging, "LARGEST", 1000)
    with pytest.raises(ValueError, match=r"the page would have \d+ bytes; expected at most 1000"):
        page(checkpoint)
    checkpoint.state["embedding.weight"][0, 0] = 1e6  # no number of 16 bits
    assert paging.dtypes(checkpoint.state) == [np.float32]


UNKNOWN = {
    "norm": "rms",
    "positions": "learned",
    "norm_first": False,
    "activation": "gelu",
    "tied": False,
    "bias": False,
    "n_kv_heads": 1,
    "gated": True,
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_models_of_other_parts_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} is {UNKNOWN[name]!r}; the explorer knows"):
        paging.check_known(ModelConfig(90, d_model=8, n_heads=2, **{name: UNKNOWN[name]}))


def test_other_families_are_refused():
    with pytest.raises(ValueError, match="model is a RecurrentTranslator; expected a Transformer"):
        paging.check_known(tiny_recurrent().config)


# ---- the command ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", ["step01_numpy", "step02_torch", "step03_gpu"])
def test_explore(package, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save("tiny.safetensors", tiny_checkpoint())
    models = {"models": import_module("step01_numpy")} if package == "step03_gpu" else {}
    assert main(import_module(package), ["explore", "--model", "tiny.safetensors"], **models) == 0
    written = (tmp_path / "build" / "explorer.html").read_bytes()
    assert written == page(load("tiny.safetensors"))
    assert capsys.readouterr().out == f"build/explorer.html: {len(written):,} bytes; open it in a browser\n"


def test_explore_refuses_a_recurrent_translator(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save("tiny.safetensors", tiny_recurrent())
    assert (
        main(import_module("step01_numpy"), ["explore", "--model", "tiny.safetensors", "--out", "x.html"])
        == 2
    )
    assert "expected a Transformer that translates" in capsys.readouterr().err
    assert not (tmp_path / "x.html").exists()
