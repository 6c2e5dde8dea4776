// Numbers that count what is done with them: they stand in for `float` and `double` in the text of a kernel.
//
// + - * / count one FLOP, a fused multiply-add two; exp, log and square roots count as special. Comparisons, the larger of
// two, a changed sign and conversions count nothing.
#pragma once
#include <concepts>
#include <type_traits>

#include "cuda.cuh"

namespace emulator {

inline void count_flop(int n) { if (!unwatched) flop += n; }
inline void count_special() { if (!unwatched) special++; }

template <typename T>
struct Counted {
    T value;
    Counted() = default;
    template <typename U> requires std::is_arithmetic_v<U>
    constexpr Counted(U x) : value(static_cast<T>(x)) {}
    template <typename U> requires(!std::same_as<U, T>)
    constexpr Counted(Counted<U> x) : value(static_cast<T>(x.value)) {}
    template <typename U> requires std::is_arithmetic_v<U>
    constexpr explicit(!std::same_as<U, T>) operator U() const { return static_cast<U>(value); }
};
using CountedFloat = Counted<float>;
using CountedDouble = Counted<double>;

template <typename X> constexpr bool is_counted = false;
template <typename T> constexpr bool is_counted<Counted<T>> = true;
template <typename T> T plain(Counted<T> x) { return x.value; }
template <typename T> requires std::is_arithmetic_v<T> T plain(T x) { return x; }
template <typename... X>
concept AnyCounted = (is_counted<X> || ...) && ((is_counted<X> || std::is_arithmetic_v<X>) && ...);
template <typename X> Counted<X> counted(X x) { return x; }

#define EMULATOR_OPERATOR(op)                                                    \
    template <typename A, typename B> requires AnyCounted<A, B>                  \
    auto operator op(A a, B b) {                                                 \
        count_flop(1);                                                           \
        return counted(plain(a) op plain(b));                                    \
    }                                                                            \
    template <typename T, typename B> requires AnyCounted<Counted<T>, B>         \
    Counted<T>& operator op##=(Counted<T>& a, B b) { return a = a op b; }
EMULATOR_OPERATOR(+)
EMULATOR_OPERATOR(-)
EMULATOR_OPERATOR(*)
EMULATOR_OPERATOR(/)
#undef EMULATOR_OPERATOR

#define EMULATOR_COMPARISON(op)                                                  \
    template <typename A, typename B> requires AnyCounted<A, B>                  \
    bool operator op(A a, B b) { return plain(a) op plain(b); }
EMULATOR_COMPARISON(<)
EMULATOR_COMPARISON(>)
EMULATOR_COMPARISON(<=)
EMULATOR_COMPARISON(>=)
EMULATOR_COMPARISON(==)
EMULATOR_COMPARISON(!=)
#undef EMULATOR_COMPARISON

template <typename T> Counted<T> operator-(Counted<T> x) { return -x.value; }
template <typename T> Counted<T> operator+(Counted<T> x) { return x; }

#define EMULATOR_SPECIAL(name)                                                   \
    template <typename T> Counted<T> name(Counted<T> x) {                        \
        count_special();                                                         \
        return static_cast<T>(::name(x.value));                                  \
    }
EMULATOR_SPECIAL(expf)
EMULATOR_SPECIAL(exp)
EMULATOR_SPECIAL(exp2f)
EMULATOR_SPECIAL(exp2)
EMULATOR_SPECIAL(logf)
EMULATOR_SPECIAL(log)
EMULATOR_SPECIAL(log2f)
EMULATOR_SPECIAL(log2)
EMULATOR_SPECIAL(sqrtf)
EMULATOR_SPECIAL(sqrt)
EMULATOR_SPECIAL(rsqrtf)
EMULATOR_SPECIAL(rsqrt)
EMULATOR_SPECIAL(tanhf)
EMULATOR_SPECIAL(tanh)
EMULATOR_SPECIAL(__expf)
EMULATOR_SPECIAL(__exp2f)
EMULATOR_SPECIAL(__logf)
EMULATOR_SPECIAL(__log2f)
#undef EMULATOR_SPECIAL

#define EMULATOR_LARGER(name)                                                    \
    template <typename A, typename B> requires AnyCounted<A, B>                  \
    auto name(A a, B b) { return counted(std::name(plain(a), plain(b))); }
EMULATOR_LARGER(fmax)
EMULATOR_LARGER(fmin)
#undef EMULATOR_LARGER
template <typename A, typename B> requires AnyCounted<A, B> auto fmaxf(A a, B b) { return fmax(a, b); }
template <typename A, typename B> requires AnyCounted<A, B> auto fminf(A a, B b) { return fmin(a, b); }

template <typename A, typename B, typename C> requires AnyCounted<A, B, C>
auto fma(A a, B b, C c) {
    count_flop(2);
    return counted(std::fma(plain(a), plain(b), plain(c)));
}
template <typename A, typename B, typename C> requires AnyCounted<A, B, C> auto fmaf(A a, B b, C c) { return fma(a, b, c); }
template <typename A, typename B, typename C> requires AnyCounted<A, B, C>
auto __fmaf_rn(A a, B b, C c) { return fma(a, b, c); }

}  // namespace emulator

// From here on, in the text of the kernel.
#define float emulator::CountedFloat
#define double emulator::CountedDouble
