"""The parts of the check, the smallest useful one first: each is worth having if the time ends behind it."""

from step03_gpu.check.benchmark import FIRST, LADDER, LONG, ONE_QUERY, WITH_TRITON, Measurement
from step03_gpu.check.case import Case
from step03_gpu.check.runner import Part
from step03_gpu.check.suite import OWN, STAGED

COMPARE, NAME = (f"step03_gpu.check.benchmark:{name}" for name in ("compare", "name_device"))
RUN_FILE = "step03_gpu.check.suite:run_file"
SMALL = (1, 2), 40, 32  # heads, length and head size of a rehearsal: emulated kernels take milliseconds
SMALL_FILES = ("attention/test_softmax.py",)


def in_small(measurement: Measurement) -> Measurement:
    """Return a measurement of the same dtype, under the same causal mask, by the same contestants."""
    heads, length, size = SMALL
    case = Case(*measurement.case)._replace(heads=heads, length=length, size=size)
    return measurement._replace(case=tuple(case))


def device_part(device: str) -> Part:
    """Return the part that must come first: it names the device."""
    return Part("device", "The device", 60, NAME, {"device": device})


def parts(device: str) -> list[Part]:
    """
    Return what is run on a GPU ("cuda"), or in a rehearsal ("cpu").

    A rehearsal has the same comparisons by the same contestants, each in small, and one file of tests.
    """
    rehearsed = device == "cpu"

    def comparison(name, title, seconds, measurements, **options):
        measurements = [in_small(x) for x in measurements] if rehearsed else measurements
        return Part(
            name, title, seconds, COMPARE, {"device": device, "measurements": measurements, **options}
        )

    files = SMALL_FILES if rehearsed else OWN + STAGED
    workers = {"workers": 1} if rehearsed else {}  # to start more takes longer than these tests
    files = [("tests-" + file.rpartition("/")[2][5:-3], file) for file in files]
    return [
        comparison("first", "First: every rung once", 90, FIRST, timed=False),
        comparison("ladder", "The ladder", 200, LADDER),
        comparison("decoding", "Decoding", 60, ONE_QUERY),
        comparison("long", "Long sequences", 150, LONG),
        comparison("triton", "Triton", 240, WITH_TRITON),
        *(Part(name, f"Tests: {file}", 300, RUN_FILE, {"file": file, **workers}) for name, file in files),
    ]
