"""Mutants of the GPU check, which must neither pass what is wrong nor come home empty; and of `--attention`."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant


def check(name, function, old, new, test):
    return Mutant(name, f"step03_gpu.check{function}", old, new, f"tests/kernels/test_check.py::{test}")


def attending(name, target, old, new, test="test_on_a_gpu_the_kernels_are_the_default"):
    return Mutant(name, f"step03_gpu.{target}", old, new, f"tests/kernels/test_attending.py::{test}")


ENDINGS, REST = (
    "test_a_part_that_ends_badly_says_how",
    "test_the_other_parts_run_and_the_report_is_written_after_each",
)

CHECK = [
    check("a wrong kernel reaches its goal", ".report:verdicts", "elif not ours.right:", "elif False:", "test_a_wrong_kernel_has_reached_no_goal"),
    check("NaN is no error", ".measure:error", 'worst if worst == worst else float("inf")', "0.0 if worst != worst else worst", "test_an_error_that_is_no_number_is_infinite"),
    check("any error allowed", ".measure:allowed", "ALLOWED * max(", "1e3 * max(", "test_errors_are_allowed_by_pytorchs_own"),
    check("an error told nowhere", ".benchmark:_tell_of", "if not row.right and", "if False and", "test_a_wrong_contestant_fails_its_part"),
    check("every failure excused", ".measure:may_refuse", 'name.startswith("SDPA")', "True", "test_what_refuses_or_fails_is_told"),
    check("a device that is lost goes unnoticed", ".measure:Excused.__exit__", "self.device.wait()", "pass", "test_a_device_that_answers_no_more_is_told"),
    check("causal FLOP not halved", ".case:Case.flop", "(0.5 if self.causal else 1)", "1", "test_rates_count_what_the_mathematics_needs"),
    check("a kernel counted for the wrong rung", ".contestants:_own", '(("forward", first), ("backward", n in BACKWARDS))', '(("forward", n in BACKWARDS), ("backward", first))', "test_a_kernel_counts_for_one_rung"),
    check("a clock that starts before its run", ".device:Gpu.time", "if in_time or", "if True or", "test_a_gpu_is_kept_busy_until_its_queue_is_filled"),
    check("a part that was killed has passed", ".runner:_ending", "if code == 0 or", "if code <= 0 or", ENDINGS),
    check("a part that exits badly has passed", ".runner:_ending", "if code == 0 or", "if code >= 0 or", ENDINGS),
    check("what a part has started outlives it", ".runner:_stop", "os.killpg(", "os.kill(", "test_a_part_that_hangs_is_stopped_with_all_that_it_has_started"),
    check("the same device lost twice", ".runner:run_part", 'part.options | ({"without": without} if without else {})', "part.options", "test_a_part_goes_on_without_who_has_lost_the_device"),
    check("a part's failure is not the command's", ":run_all", "passed and not outcome.failed", "passed", REST),
    check("parts of before are lost", ":run_all", "report.sections(path.read_text()) if path is not None and path.exists() else {}", "{}", REST),
    check("time that never ends", ":run_all", "if left <= 0:", "if False:", "test_what_has_no_time_left_is_told"),
]  # fmt: skip

ATTENDING = [
    attending("no kernels by default on a GPU", "attending:chosen_attention", 'if name is None and default_device() == "host":', "if name is None:"),
    attending("array operations by default on a GPU", "attending:chosen_attention", '"flash" if name is None', '"standard" if name is None'),
    attending("a way that is told and not taken", "attending:chosen_attention", "return attend", "return None"),
    attending("a note among the results", "attending:chosen_attention", "file=sys.stderr", "file=sys.stdout", "test_every_way_translates_alike"),
]  # fmt: skip
