// Fibers: many stacks, one CPU thread. A fiber runs until it switches to another one, and later goes on from there.
//
// A switch stores on the stack it leaves what its registers must still hold when it comes back, exchanges the stack
// pointers, and loads the registers that lie on the other stack. No system call is made: it takes some 2 ns, where
// threads of the operating system take microseconds.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

#if defined(__SANITIZE_ADDRESS__)
#define EMULATOR_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMULATOR_CHECKED 1
#endif
#endif
#ifdef EMULATOR_CHECKED
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// Leave the running stack, storing where it stopped in *from; go on at `to`, stored so before.
#if defined(__x86_64__)
// Of the registers named at the end, the compiler itself saves those that it still needs, often few. It cannot spare
// rbp and rbx where they tell it where a function's variables lie.
__attribute__((always_inline)) inline void emulator_switch(void** from, void* to) {
    asm volatile(R"(
        leaq -128(%%rsp), %%rsp
        leaq 1f(%%rip), %%rax
        pushq %%rax
        pushq %%rbx
        pushq %%rbp
        movq %%rsp, (%0)
        movq %1, %%rsp
        popq %%rbp
        popq %%rbx
        popq %%rax
        jmp *%%rax
    1:  leaq 128(%%rsp), %%rsp
    )"  // 128: the bytes below the stack pointer that a function may use
                 : "+D"(from), "+S"(to)::"rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                   "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                   "xmm12", "xmm13", "xmm14", "xmm15", "cc", "memory");
}
constexpr int SAVED_WORDS = 4, RETURN_WORD = 2;  // two registers, where to go on, one word for alignment
#elif defined(__aarch64__)
extern "C" void emulator_switch(void** from, void* to) __asm__("emulator_switch");
asm(R"(
    .text
    .p2align 4
emulator_switch:
    stp x19, x20, [sp, #-160]!
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    ldp x19, x20, [sp], #160
    ret
)");
constexpr int SAVED_WORDS = 20, RETURN_WORD = 11;  // x30 holds the return address
#else
#error "the emulator switches stacks in assembly, written for x86-64 and AArch64 so far"
#endif

namespace emulator {

constexpr size_t STACK_BYTES = 256 * 1024;  // memory is taken only where a stack is touched
constexpr size_t GUARD_BYTES = 64 * 1024;   // below it, unreadable: a stack that grows too large stops the program
constexpr size_t APART_BYTES = 576;         // a warp's stacks begin so far apart within their pages: at the same place,
                                            // they would drive each other out of the cache

struct Fiber {
    void* stopped_at = nullptr;
    char* stack = nullptr;  // its lowest byte; null: the stack that the operating system gave
    size_t bytes = 0;
};

// The stacks of `n` fibers, a guard below each. All libraries of a process use the same ones, one after another: each
// guard parts the memory in two, and the system counts the parts.
inline char* allocate_stacks(size_t n) {
    void* memory = mmap(nullptr, n * (GUARD_BYTES + STACK_BYTES), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw "no memory for the stacks of a block's threads";
    return static_cast<char*>(memory);
}

inline void take_stack(Fiber& fiber, char* stacks, size_t number) {
    char* guard = stacks + number * (GUARD_BYTES + STACK_BYTES);
    mprotect(guard, GUARD_BYTES, PROT_NONE);
    fiber.stack = guard + GUARD_BYTES;
    fiber.bytes = STACK_BYTES - number % 32 * APART_BYTES;
}

// Lay the fiber's stack out as if it had been left just before the first line of `entry`.
inline void start(Fiber& fiber, void (*entry)()) {
    void** saved = reinterpret_cast<void**>(fiber.stack + fiber.bytes) - SAVED_WORDS;
    for (int word = 0; word < SAVED_WORDS; word++) saved[word] = nullptr;
    saved[RETURN_WORD] = reinterpret_cast<void*>(entry);
    fiber.stopped_at = saved;
}

#ifdef EMULATOR_CHECKED
inline void forbid(void* memory, size_t bytes) { ASAN_POISON_MEMORY_REGION(memory, bytes); }
inline void allow(void* memory, size_t bytes) { ASAN_UNPOISON_MEMORY_REGION(memory, bytes); }

// AddressSanitizer has to be told which stack is in use.
inline void switch_fiber(Fiber& from, Fiber& to) {
    void* fake_stack = nullptr;
    __sanitizer_start_switch_fiber(&fake_stack, to.stack, to.bytes);
    emulator_switch(&from.stopped_at, to.stopped_at);
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
}
// The first line of every fiber. The first fiber of all also learns where the scheduler's stack lies.
inline void arrived(Fiber& scheduler) {
    const void* stack = nullptr;
    size_t bytes = 0;
    __sanitizer_finish_switch_fiber(nullptr, &stack, &bytes);
    if (scheduler.stack) return;
    scheduler.stack = const_cast<char*>(static_cast<const char*>(stack));
    scheduler.bytes = bytes;
}
#else
inline void forbid(void*, size_t) {}
inline void allow(void*, size_t) {}
inline void switch_fiber(Fiber& from, Fiber& to) { emulator_switch(&from.stopped_at, to.stopped_at); }
inline void arrived(Fiber&) {}
#endif

}  // namespace emulator
