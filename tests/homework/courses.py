"""Courses as lists of tasks, and the version of the project that hands them out."""

from importlib.metadata import PackageNotFoundError, version

WEEK_1 = ["softmax", "masks", "hide", "simple-attention", "attention", "heads", "multi-head", "sinusoids"]
WEEK_2 = ["softmax-backward", "attention-backward", "layer-norm", "cross-entropy", "cross-entropy-backward"]
WEEK_2 += ["cache", "grouped-heads", "rotary", "beam-search"]
LAB = ["torch-simple-attention", "torch-self-attention", "torch-masked-attention", "torch-cross-attention"]
LAB += ["torch-multi-head"]
COURSES = {"undergraduate": WEEK_1 + WEEK_2, "undergraduate-1": WEEK_1, "undergraduate-2": WEEK_2}
COURSES["undergraduate-lab"] = LAB
KERNELS_1 = ["naive-scores", "softmax-row", "hiding", "warp-sum", "online-softmax"]
KERNELS_2 = ["load-tile", "multiply-rows", "barriers", "rescale", "kernel-gradients"]
COURSES |= {"kernels": KERNELS_1 + KERNELS_2, "kernels-1": KERNELS_1, "kernels-2": KERNELS_2}

try:
    VERSION = version("attention-step-by-step")
except PackageNotFoundError:  # run from a checkout that is not installed
    VERSION = "unknown"
