"""Mutants of what only a GPU would show: arrays and streams that behave as CuPy's do stand in for it."""

# ruff: noqa: E501  (one mutant a line)

from tests.mutants.mutant import Mutant

ON_GPU = [
    Mutant("a device's array read by NumPy", "step01_numpy.arrays:to_numpy", 'x.get() if hasattr(x, "get") else np.asarray(x)', "np.asarray(x)", "tests/commands/test_alignment.py::test_a_gpus_arrays_reach_the_tour"),
    Mutant("a device's embedding by one-hot rows", "step01_numpy.layers:lookup_backward", "np.add.at(d_table, indices, d_rows)", "d_table += (indices[None, :] == np.arange(len(table), like=indices)[:, None]).astype(d_rows.dtype) @ d_rows", "tests/models/test_device_array.py::test_rows_that_were_looked_up_twice_add_up_in_place"),
    Mutant("a stream by the way that warns", "step03_gpu.tensors.operators:pytorchs_stream", "Stream.from_external(stream)", "ExternalStream(stream.cuda_stream)", "tests/kernels/test_operators.py::test_cupy_works_on_pytorchs_stream_and_device"),
    Mutant("a token's range read from the device", "step01_numpy.common.training.backend:Decoding._checked", "seen < config.max_positions", "False", "tests/kernels/test_synchronisations.py::test_a_token_waits_for_its_logits_alone"),
    Mutant("positions taken as in range for ever", "step01_numpy.common.training.backend:Decoding._checked", "seen < config.max_positions", "True", "tests/kernels/test_synchronisations.py::test_what_is_not_in_range_is_refused_all_the_same"),
    Mutant("a token of a device taken as in range", "step01_numpy.common.training.backend:Decoding._checked", 'ranges.tokens("tokens", tokens, config.vocab_size)', "pass", "tests/kernels/test_synchronisations.py::test_what_is_not_in_range_is_refused_all_the_same"),
    Mutant("results on the current GPU", "step03_gpu.kernels.fitting:forward", "with on_device(q):", "if True:", "tests/kernels/test_several_gpus.py"),
    Mutant("gradients on the current GPU", "step03_gpu.kernels.fitting:backward", "with on_device(q):", "if True:", "tests/kernels/test_several_gpus.py"),
]  # fmt: skip
