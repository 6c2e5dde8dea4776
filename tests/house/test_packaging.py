"""The wheel: complete, and light to import. An editable install would hide a missing file."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("step01_numpy", "step02_torch", "step03_gpu")
BASE = ("numpy", "jaxtyping", "wadler_lindig", "typing_extensions", "threadpoolctl")

# Runs without site-packages on its path: of what is installed, only the base dependencies can be found.
PROBE = """
import sys
from importlib.machinery import PathFinder
from importlib.metadata import DistributionFinder, MetadataPathFinder
wheel, site, *base = sys.argv[1:]
class Base:
    def find_spec(self, name, path=None, target=None):
        return PathFinder.find_spec(name, [site]) if name in base else None
    def find_distributions(self, context):
        here = DistributionFinder.Context(name=context.name, path=[site])
        return MetadataPathFinder.find_distributions(here)
sys.meta_path.append(Base())
sys.path.insert(0, wheel)
import step01_numpy
assert step01_numpy.__file__.startswith(wheel), step01_numpy.__file__
import numpy as np
q = np.ones((1, 2, 3, 4))
out, _ = step01_numpy.flash_attention(q, q, q, causal=True)
assert out.shape == q.shape
heavy = {"torch", "cupy", "tokenizers", "safetensors", "scipy", "matplotlib", "tqdm", "sacrebleu",
         "ml_dtypes", "sentencepiece", "huggingface_hub", "transformers"}
print(sorted(heavy & set(sys.modules)))
import step03_gpu
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel with the installed setuptools, and unpack it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy: building in place would pick up what an earlier build left behind
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([sys.executable, *command, "--wheel-dir", folder, source], check=True)
    (path,) = folder.glob("*.whl")
    zipfile.ZipFile(path).extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_wheel_holds_every_file(wheel):
    kept = (".py", ".safetensors", ".json", ".html", ".cu", ".cuh", ".h", ".md", ".css", ".js", ".txt")
    expected = {
        str(p.relative_to(ROOT))
        for package in PACKAGES
        for p in (ROOT / package).rglob("*")
        if p.suffix in kept
    }
    found = {str(p.relative_to(wheel)) for p in wheel.rglob("*") if p.suffix in kept}
    assert {name for name in found if name.startswith("step0")} == expected
    assert not [name for name in found if name.startswith("tests")]


def test_base_dependencies_suffice_for_step01(wheel):
    probe = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PROBE, str(wheel), sysconfig.get_paths()["purelib"], *BASE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert probe.returncode == 0, probe.stderr
    assert probe.stdout.strip() == "[]"


def run_pytest(wheel, folder, *arguments):
    """Run pytest where the wheel is installed, and torch is not."""
    (folder / "torch.py").write_text("raise ModuleNotFoundError('no torch here', name='torch')")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (folder, wheel)))}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_wheel_brings_the_plugin(wheel, tmp_path):
    (tmp_path / "mine.py").write_text("from step01_numpy import softmax, softmax_backward")
    done = run_pytest(wheel, tmp_path, "--stage", "mine", "--only", "softmax", "-rs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed, 2 skipped" in done.stdout
    assert "mine has no log_sum_exp" in done.stdout


@pytest.mark.proof
def test_the_plugin_stands_aside_in_this_repository(wheel, tmp_path):
    (tmp_path / "mine.py").write_text("from step01_numpy import softmax, softmax_backward")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, ROOT, wheel)))}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--stage",
        "mine",
        "-k",
        "mine-softmax",
    ]
    command += ["tests/parity/test_parity.py"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
