// The machine's instructions that CUDA C++ has no name for, one function each and nothing else.
//
// Described in the PTX ISA, each under its own name. Needs sm_80; includes nothing, so that NVRTC compiles it without headers.
// On a CPU the file of the same name in emulator/include takes its place.

// An address in shared memory: 32 bits, so that offsets cost half of what they do with pointers.
using Shared = unsigned;

__device__ __forceinline__ Shared shared_address(const void* p) {
    unsigned long long address;
    asm("cvta.to.shared.u64 %0, %1;" : "=l"(address) : "l"(p));
    return static_cast<Shared>(address);
}

__device__ __forceinline__ Shared flip(Shared address, int bits) { return address ^ bits; }

// The same number, but what depends on it is computed after this point: nothing before a loop, to be kept in registers.
template <typename T> __device__ __forceinline__ T fresh(T x) {
    asm volatile("" : "+r"(x));
    return x;
}

// ---- conversions, rounding to nearest even (cvt) ----

__device__ __forceinline__ float half_to_float(unsigned short bits) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
}

__device__ __forceinline__ unsigned short float_to_half(float x) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}

// Two numbers in one register: the first in its lower half, as it lies in memory.
__device__ __forceinline__ unsigned pack_half(float first, float second) {
    unsigned pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
    return pair;
}

__device__ __forceinline__ unsigned pack_bfloat(float first, float second) {
    unsigned pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
    return pair;
}

// 2^x to two units in the last place; 2^-inf is 0 (ex2)
__device__ __forceinline__ float exp2_approximate(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// ---- tensor cores: c (16 x 8, float) += a (16 x 16) · b (16 x 8) by one warp (mma.m16n8k16) ----
// Lane l holds, with g = l / 4 and t = l % 4, pairs of neighbours in one register:
//   a[0] row g,     columns 2t, 2t + 1      a[2] row g,     columns 2t + 8, 2t + 9
//   a[1] row g + 8, columns 2t, 2t + 1      a[3] row g + 8, columns 2t + 8, 2t + 9
//   b[0] rows 2t, 2t + 1 of column g        b[1] rows 2t + 8, 2t + 9 of column g
//   c[0], c[1] row g, columns 2t, 2t + 1    c[2], c[3] row g + 8, columns 2t, 2t + 1

__device__ __forceinline__ void mma_half(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ void mma_bfloat(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// ---- four 8 x 8 matrices of 16-bit numbers from shared memory (ldmatrix) ----
// Lane l gives the address of row l % 8 of matrix l / 8: 16 bytes, aligned. r[i] is matrix i: lane l gets
// row l / 4, columns 2 (l % 4) and the next; transposed, the same of the matrix turned over its diagonal.

__device__ __forceinline__ void load_matrices(unsigned (&r)[4], Shared row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(row)
                 : "memory");
}

__device__ __forceinline__ void load_matrices_transposed(unsigned (&r)[4], Shared row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(row)
                 : "memory");
}

// ---- global to shared memory, past the registers and while the thread goes on (cp.async) ----
// With `exists` false nothing is read and zeros are written. The thread sees its copies after wait_copies,
// the others after a barrier that follows.

__device__ __forceinline__ void copy_16_bytes(Shared to, const void* from, bool exists) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(exists ? 16 : 0)
                 : "memory");
}

__device__ __forceinline__ void copy_8_bytes(Shared to, const void* from, bool exists) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(to), "l"(from), "r"(exists ? 8 : 0)
                 : "memory");
}

// Closes a group: what was copied since the last one.
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most the N newest groups are still on their way.
template <int N>
__device__ __forceinline__ void wait_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}
