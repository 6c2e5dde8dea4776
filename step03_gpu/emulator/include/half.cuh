// 16-bit floats by their bits: to the nearest, ties to even. A NaN keeps the upper bits of its mantissa.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

namespace emulator {

template <typename To, typename From>
To same_bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

inline float float_of_bfloat(uint16_t bits) { return same_bits<float>(static_cast<uint32_t>(bits) << 16); }

inline uint16_t bfloat_of_float(float x) {
    uint32_t bits = same_bits<uint32_t>(x);
    if (x != x) return bits >> 16 | 0x40;
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
}

inline float float_of_half(uint16_t bits) {
    uint32_t sign = (bits & 0x8000u) << 16, rest = bits & 0x7FFF;
    if (rest >= 0x7C00) return same_bits<float>(sign | 0x7F800000 | (rest & 0x3FF) << 13);  // infinity, NaN
    if (rest < 0x400) return same_bits<float>(sign) + (sign ? -1 : 1) * std::ldexp(float(rest), -24);  // subnormal
    return same_bits<float>(sign | (rest + ((127 - 15) << 10)) << 13);
}

inline uint16_t half_of_float(float x) {
    uint32_t bits = same_bits<uint32_t>(x), sign = bits >> 16 & 0x8000, rest = bits & 0x7FFFFFFF;
    if (rest > 0x7F800000) return sign | 0x7E00 | (rest >> 13 & 0x3FF);
    if (rest >= 0x47800000) return sign | 0x7C00;  // 65536 and above
    if (rest < 0x38800000)                         // below 2^-14: in units of 2^-24, rounded by the CPU
        return sign | static_cast<uint16_t>(std::nearbyint(std::ldexp(same_bits<float>(rest), 24)));
    rest -= (127 - 15) << 23;
    return sign | (rest + 0xFFF + (rest >> 13 & 1)) >> 13;  // rounding up may carry into infinity, rightly
}

}  // namespace emulator

// The part of __half and __nv_bfloat16 that both have: a number of 16 bits that computes as a float does.
#define EMULATOR_FLOAT16(Type, Pair, to_float, from_float, name)                                              \
    struct __align__(2) Type {                                                                                \
        uint16_t bits;                                                                                        \
        Type() = default;                                                                                     \
        Type(float x) : bits(from_float(x)) {}                                                                \
        Type(double x) : Type(static_cast<float>(x)) {}                                                       \
        Type(int x) : Type(static_cast<float>(x)) {}                                                          \
        operator float() const { return to_float(bits); }                                                     \
        Type& operator+=(Type x) { return *this = *this + x; }                                                \
        Type& operator-=(Type x) { return *this = *this - x; }                                                \
        Type& operator*=(Type x) { return *this = *this * x; }                                                \
        friend Type operator+(Type a, Type b) { return Type(float(a) + float(b)); }                           \
        friend Type operator-(Type a, Type b) { return Type(float(a) - float(b)); }                           \
        friend Type operator*(Type a, Type b) { return Type(float(a) * float(b)); }                           \
        friend Type operator/(Type a, Type b) { return Type(float(a) / float(b)); }                           \
    };                                                                                                        \
    struct __align__(4) Pair { Type x, y; };                                                                  \
    inline float __##name##2float(Type x) { return x; }                                                       \
    inline Type __float2##name(float x) { return x; }                                                         \
    inline Type __float2##name##_rn(float x) { return x; }                                                    \
    inline Pair __floats2##name##2_rn(float x, float y) { return {x, y}; }                                    \
    inline Type __hadd(Type a, Type b) { return a + b; }                                                      \
    inline Type __hsub(Type a, Type b) { return a - b; }                                                      \
    inline Type __hmul(Type a, Type b) { return a * b; }                                                      \
    inline Type __hfma(Type a, Type b, Type c) { return std::fmaf(a, b, c); }                                 \
    inline float __low2float(Pair pair) { return pair.x; }                                                    \
    inline float __high2float(Pair pair) { return pair.y; }
