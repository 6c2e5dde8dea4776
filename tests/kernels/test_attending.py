"""Step 3's commands attend as `--attention` says: by default with kernels on a GPU, here a double of one."""

import pytest

import step01_numpy
import step03_gpu
from step01_numpy.common.commands.command_line import main
from step01_numpy.common.training.checkpoints import save
from step03_gpu import arrays, attending
from step03_gpu.attending import WAYS, chosen_attention
from step03_gpu.kernels import launch
from tests.device_array import RawModule
from tests.tiny import tiny_checkpoint


@pytest.fixture
def translate(tmp_path, capsys):
    """Translate a sentence by a tiny model, and return what is printed, and said."""
    save(tmp_path / "tiny.safetensors", tiny_checkpoint())

    def call(*options):
        arguments = [
            "translate",
            "--model",
            str(tmp_path / "tiny.safetensors"),
            *options,
            "She sees the house.",
        ]
        assert (
            main(step03_gpu, arguments, models=step01_numpy, attentions=(tuple(WAYS), chosen_attention)) == 0
        )
        return capsys.readouterr()

    return call


def test_every_way_translates_alike(translate):
    first = translate()
    assert "--attention" not in first.err
    for name in ("standard", "flash", "rung-2", "rung-3"):
        found = translate("--attention", name)
        assert found.out == first.out
        assert found.err.count(f"note: --attention {name}: ") == 1


@pytest.mark.usefixtures("cupy_double", "unchecked")
def test_on_a_gpu_the_kernels_are_the_default(translate, monkeypatch):
    monkeypatch.setattr(arrays, "default_device", lambda: "gpu")
    monkeypatch.setattr(attending, "default_device", lambda: "gpu")
    launch.kernels.cache_clear()
    RawModule.launched.clear()
    assert translate().err.count("note: --attention flash: the best kernel for each call") == 1
    assert {name.partition("<")[0] for name in RawModule.launched} == {
        "tiled",
        "attend_split",
        "merge_splits",
    }
    RawModule.launched.clear()
    translate("--attention", "rung-2")
    assert {name.partition("<")[0] for name in RawModule.launched} == {"online_softmax"}
    RawModule.launched.clear()
    translate("--attention", "standard")
    assert not RawModule.launched
    launch.kernels.cache_clear()


def test_a_way_that_there_is_not_is_told(capsys):
    assert (
        main(step03_gpu, ["embed", "--attention", "rung-9"], attentions=(tuple(WAYS), chosen_attention)) == 2
    )
    assert "argument --attention: invalid choice: 'rung-9'" in capsys.readouterr().err
    assert main(step01_numpy, ["translate", "--attention", "flash", "x"]) == 2
    assert "unrecognized arguments: --attention" in capsys.readouterr().err
