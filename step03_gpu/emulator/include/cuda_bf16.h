// What kernels take from CUDA's header of this name: __nv_bfloat16, __nv_bfloat162 and their conversions.
#pragma once
#include "half.cuh"

EMULATOR_FLOAT16(__nv_bfloat16, __nv_bfloat162, emulator::float_of_bfloat, emulator::bfloat_of_float, bfloat16)
using nv_bfloat16 = __nv_bfloat16;
using nv_bfloat162 = __nv_bfloat162;
inline float2 __bfloat1622float2(__nv_bfloat162 pair) { return {pair.x, pair.y}; }
inline __nv_bfloat162 __float22bfloat162_rn(float2 pair) { return {pair.x, pair.y}; }
