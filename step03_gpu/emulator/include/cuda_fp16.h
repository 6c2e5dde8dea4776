// What kernels take from CUDA's header of this name: __half, half2 and their conversions.
#pragma once
#include "half.cuh"

EMULATOR_FLOAT16(__half, __half2, emulator::float_of_half, emulator::half_of_float, half)
using half = __half;
using half2 = __half2;
inline float2 __half22float2(half2 pair) { return {pair.x, pair.y}; }
inline half2 __float22half2_rn(float2 pair) { return {pair.x, pair.y}; }
