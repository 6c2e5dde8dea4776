"""The parts of the check, the smallest useful one first: each is worth having if the time ends behind it."""

from step03_gpu.check.benchmark import FIRST, LADDER, LONG, WITH_TRITON, Measurement
from step03_gpu.check.runner import Part
from step03_gpu.check.suite import OWN, STAGED

COMPARE, NAME = (f"step03_gpu.check.benchmark:{name}" for name in ("compare", "name_device"))
RUN_FILE = "step03_gpu.check.suite:run_file"
SMALL = [
    Measurement("float32", ("float32", (1, 2), 40, 32, False), None, "float32"),
    Measurement("bfloat16, causal", ("bfloat16", (1, 2), 40, 32, True), None, "long"),
]


def device_part(device: str) -> Part:
    """Return the part that must come first: it names the device."""
    return Part("device", "The device", 60, NAME, {"device": device})


def parts(device: str) -> list[Part]:
    """Return what is run on a GPU ("cuda"), or in a rehearsal ("cpu"): the same in small, within seconds."""

    def comparison(name, title, seconds, measurements, **options):
        return Part(
            name, title, seconds, COMPARE, {"device": device, "measurements": measurements, **options}
        )

    if device == "cpu":
        return [
            comparison("first", "First: every rung once", 240, SMALL[1:], timed=False),
            comparison("ladder", "The ladder", 240, SMALL),
        ]
    files = [("tests-" + file.rpartition("/")[2][5:-3], file) for file in OWN + STAGED]
    return [
        comparison("first", "First: every rung once", 90, FIRST, timed=False),
        comparison("ladder", "The ladder", 200, LADDER),
        comparison("long", "Long sequences", 150, LONG),
        comparison("triton", "Triton", 240, WITH_TRITON),
        *(Part(name, f"Tests: {file}", 300, RUN_FILE, {"file": file}) for name, file in files),
    ]
