"""Decoding with cached keys: tokens per second against `transformers`, on the same weights in turn."""

import numpy as np
import torch

import step01_numpy
import step02_torch
from step01_numpy.common.configuration import ModelConfig
from step01_numpy.common.search import greedy
from tests.benchmarks.timing import Result, interleave

NEW, ROUNDS = 128, 5  # tokens
GPT_2 = ModelConfig(
    50257, d_model=768, n_heads=12, d_ff=3072, n_layers=12, dropout=0.0, positions="learned",
    max_positions=1024, architecture="decoder", activation="gelu_tanh", scale_embedding=False,
)  # fmt: skip


def transformers_model():
    """Build GPT-2's shape with random weights."""
    import transformers

    transformers.logging.set_verbosity_error()
    config = transformers.GPT2Config(bos_token_id=None, eos_token_id=None, pad_token_id=0)
    return transformers.GPT2LMHeadModel(config).eval()


def state_of(model) -> dict[str, np.ndarray]:
    """Return its weights under our names: the same numbers are read, only in another place."""
    theirs = {name: x.numpy() for name, x in model.transformer.state_dict().items()}
    state = {"embedding.weight": theirs["wte.weight"], "stack.input.learned.weight": theirs["wpe.weight"]}
    for i in range(GPT_2.n_layers):
        block = f"stack.blocks.{i}."
        for part in ("weight", "bias"):
            thirds = np.split(theirs[f"h.{i}.attn.c_attn.{part}"].T, 3)
            named = {f"self_attention.w_{x}": third for x, third in zip("qkv", thirds, strict=True)}
            named |= {
                "self_attention.w_o": theirs[f"h.{i}.attn.c_proj.{part}"].T,
                "self_attention_residual.norm": theirs[f"h.{i}.ln_1.{part}"],
                "feed_forward.w_1": theirs[f"h.{i}.mlp.c_fc.{part}"].T,
                "feed_forward.w_2": theirs[f"h.{i}.mlp.c_proj.{part}"].T,
                "feed_forward_residual.norm": theirs[f"h.{i}.ln_2.{part}"],
            }
            state |= {f"{block}{name}.{part}": np.ascontiguousarray(x) for name, x in named.items()}
    for part in ("weight", "bias"):
        state[f"stack.norm.{part}"] = theirs[f"ln_f.{part}"]
    return state


def decoder(stage, state):
    """Return a stage's greedy decoding, from one token to NEW."""
    model = stage.LanguageModel(GPT_2, rng=step01_numpy.NO_DRAW)
    model.load_state_dict(state)
    model.eval()

    def run():
        cache = stage.start(model, stage.from_numpy(np.zeros((1, 0), np.int64)))

        def step(tokens):
            return stage.to_numpy(stage.step(model, stage.from_numpy(tokens), cache))

        return greedy(step, 1, max_length=NEW)

    return run


def memory_rate() -> float:
    """Return how fast a product of the weights' size reads memory, in GB/s, two threads on NumPy's side."""
    weight, x = np.ones((30000, 4096), np.float32), np.ones(4096, np.float32)
    time = interleave({"read": lambda: weight @ x}, rounds=7)["read"]
    return weight.nbytes / (time / 1e3) / 1e9


def run() -> list[Result]:
    """Decode in turn."""
    torch.set_num_threads(2)
    torch.manual_seed(0)
    theirs = transformers_model()
    state = state_of(theirs)
    prompt = torch.zeros(1, 1, dtype=torch.long)
    options = {"max_new_tokens": NEW, "do_sample": False}
    times = interleave(
        {
            "step01": decoder(step01_numpy, state),
            "step02": decoder(step02_torch, state),
            "theirs": lambda: theirs.generate(prompt, **options),
        },
        ROUNDS,
        warm_up=1,
    )
    rate = {name: NEW / (time / 1e3) for name, time in times.items()}
    read = sum(x.nbytes for name, x in state.items() if "learned" not in name)  # bytes of weights a token
    limit = memory_rate() * 1e9 / read
    return [
        Result(
            "decoding, step01 against transformers", "tokens/s", rate["step01"], rate["theirs"], 2.0, True
        ),
        Result(
            "decoding, step02 against transformers", "tokens/s", rate["step02"], rate["theirs"], 1.0, True
        ),
        Result("decoding, step01 against the memory's limit", "tokens/s", rate["step01"], limit, 0.0, True),
    ]
