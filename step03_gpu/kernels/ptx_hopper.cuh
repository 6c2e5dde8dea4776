// Hopper's instructions, one function each: barriers that count bytes, copies of boxes, products that are waited for.
//
// Described in the PTX ISA, each under its own name. Needs sm_90a, the `a` for wgmma, which no other architecture has. On a
// CPU the file of the same name in emulator/include takes its place.

__device__ __forceinline__ unsigned address_number(Shared address) { return address; }

// From here on each thread of a group of four warps has REGISTERS of them, more than before or fewer: a block starts with as
// many for all, and what one group gives another can take.
template <int REGISTERS, bool MORE> __device__ __forceinline__ void take_registers() {
    if constexpr (MORE) asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(REGISTERS));
    else asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}

// ---- barriers in shared memory, 8 bytes each (mbarrier) ----
// A phase is complete when `count` threads have arrived and all announced bytes have come; then the next one begins. Phases
// are numbered from 0: who waits for parity p waits until the latest phase with that parity is complete. Before the first
// is, those of parity 1 count as complete.

__device__ __forceinline__ void init_barrier(Shared barrier, int count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}

// What this thread wrote into shared memory is there for copies and products too, which see it another way (async proxy).
__device__ __forceinline__ void fence_async_proxy() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

__device__ __forceinline__ void arrive(Shared barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

__device__ __forceinline__ void arrive_expecting(Shared barrier, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

__device__ __forceinline__ void wait_phase(Shared barrier, int parity) {
    unsigned complete = 0;
    while (!complete)  // the instruction sleeps for a while before it says no
        asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
                     : "=r"(complete) : "r"(barrier), "r"(parity) : "memory");
}

// ---- a box of an array of three axes, by one thread (cp.async.bulk.tensor, the "tensor memory accelerator") ----
// The map says what the array and the box are like, and how the box is permuted in shared memory; x, y, z is where it begins.
// What lies outside the array becomes 0. The bytes are counted at the barrier.

struct alignas(64) TensorMap { unsigned long long opaque[16]; };  // written by the driver (tensor_map.py)

__device__ __forceinline__ void copy_box(Shared to, const TensorMap& map, int x, int y, int z, Shared barrier) {
    asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];"
                 ::"r"(to), "l"(&map), "r"(barrier), "r"(x), "r"(y), "r"(z) : "memory");
}

// ---- tensor cores: c (64 x N, float) += a (64 x 16) · b (16 x N) by a group of four warps (wgmma.mma_async) ----
// Warp w of a group has rows 16 w and on, and its lanes of every 8 columns what mma gives them (ptx.cuh). The product goes on
// while the threads do: until it has been waited for, nobody may touch its registers or what it reads in shared memory.

using Descriptor = unsigned long long;  // of a matrix in shared memory: warp_group_tiles.cuh

// The compiler keeps what is written to c before this point before it, and what is read after it behind it.
template <int PIECES> __device__ __forceinline__ void pin(float (&c)[PIECES][4]) {
#pragma unroll
    for (int i = 0; i < 4 * PIECES; ++i) asm volatile("" : "+f"(c[i / 4][i % 4])::"memory");
}

// Registers that this thread has touched may be taken by the products that follow.
__device__ __forceinline__ void fence_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

// Closes a group: the products since the last one.
__device__ __forceinline__ void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Waits until at most the N newest groups are still on their way.
template <int N> __device__ __forceinline__ void wait_products() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

// An accumulator's registers, as a list in the instruction and as operands: N = 64 has 32 of them, N = 128 64.
#define LIST_32 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, " \
                "%24, %25, %26, %27, %28, %29, %30, %31"
#define LIST_64 LIST_32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, " \
                "%52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define PIECE(n) "+f"(c[n][0]), "+f"(c[n][1]), "+f"(c[n][2]), "+f"(c[n][3])
#define PIECES_4(n) PIECE(n), PIECE(n + 1), PIECE(n + 2), PIECE(n + 3)
#define PIECES_8 PIECES_4(0), PIECES_4(4)
#define PIECES_16 PIECES_8, PIECES_4(8), PIECES_4(12)

// With `add` 0 what c held before is forgotten. The two numbers 1 are signs; the last ones say that a matrix lies by columns.
#define WGMMA(N, type, list, add, rest) \
    "{\n.reg .pred p;\nsetp.ne.b32 p, " add ", 0;\n" \
    "wgmma.mma_async.sync.aligned.m64n" N "k16.f32." type "." type " {" list "}, " rest ";\n}"

// a and b in shared memory, both by rows: c = a bᵀ. Or a in registers, as mma takes it, and b by columns: c = a b.
#define PRODUCTS(name, type) \
    __device__ __forceinline__ void name(float (&c)[16][4], Descriptor a, Descriptor b, int add) { \
        asm volatile(WGMMA("128", type, LIST_64, "%66", "%64, %65, p, 1, 1, 0, 0") : PIECES_16 : "l"(a), "l"(b), "r"(add)); \
    } \
    __device__ __forceinline__ void name(float (&c)[16][4], const unsigned (&a)[4], Descriptor b, int add) { \
        asm volatile(WGMMA("128", type, LIST_64, "%69", "{%64, %65, %66, %67}, %68, p, 1, 1, 1") \
            : PIECES_16 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add)); \
    } \
    __device__ __forceinline__ void name(float (&c)[8][4], const unsigned (&a)[4], Descriptor b, int add) { \
        asm volatile(WGMMA("64", type, LIST_32, "%37", "{%32, %33, %34, %35}, %36, p, 1, 1, 1") \
            : PIECES_8 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add)); \
    }
PRODUCTS(wgmma_half, "f16")
PRODUCTS(wgmma_bfloat, "bf16")
