// What stops a kernel in the middle: a fault of the processor, Ctrl-C, a watchdog. A signal's handler leaves the
// thread where it is and returns from the launch, and the program that launched it lives on.
#pragma once
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

#include "launch.cuh"

namespace emulator {

// SIGURG asks a launch to stop: where none runs any more, nobody notices it.
constexpr int SIGNALS[] = {SIGINT, SIGURG, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};

inline struct sigaction before[NSIG];  // what each signal did before the launch
inline sigjmp_buf way_out;
inline pthread_t launcher;
inline volatile sig_atomic_t running, interrupts_left;
inline struct {
    int signal, code;
    char *address, *instruction;
} stop;
alignas(64) inline char handler_stack[64 * 1024];  // that of the thread may be full

inline char* instruction(void* context) {
    [[maybe_unused]] auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext;
#if defined(__linux__) && defined(__x86_64__)
    return reinterpret_cast<char*>(registers.gregs[REG_RIP]);
#elif defined(__linux__) && defined(__aarch64__)
    return reinterpret_cast<char*>(registers.pc);
#else
    return nullptr;  // no line is named
#endif
}

// Do what would have been done without a launch. Where that is the system's own answer, the fault comes again.
inline void hand_on(int signal, siginfo_t* info, void* context) {
    const struct sigaction& old = before[signal];
    if (old.sa_flags & SA_SIGINFO) old.sa_sigaction(signal, info, context);
    else if (old.sa_handler == SIG_DFL && signal != SIGURG) sigaction(signal, &old, nullptr);
    else if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN) old.sa_handler(signal);
}

inline void on_signal(int signal, siginfo_t* info, void* context) {
    const bool ours = running && pthread_equal(pthread_self(), launcher);
    if (signal == SIGINT) {  // Python is told first; its handler runs when the launch has returned
        hand_on(signal, info, context);
        if (--interrupts_left > 0 || !running) return;
        if (!ours) pthread_kill(launcher, SIGURG);
    }
    if (!ours && signal != SIGINT) hand_on(signal, info, context);
    if (!ours) return;
    stop = {signal, info->si_code, static_cast<char*>(info->si_addr), instruction(context)};
    siglongjmp(way_out, 1);
}

// The handlers stand for one launch only: Python sets its own, and other libraries theirs.
struct Handlers {
    stack_t stack_before;
    Handlers() {
        stack_t own = {};
        own.ss_sp = handler_stack;
        own.ss_size = sizeof handler_stack;
        sigaltstack(&own, &stack_before);
        struct sigaction action = {};
        action.sa_sigaction = on_signal;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigfillset(&action.sa_mask);
        for (int signal : SIGNALS) sigaction(signal, &action, &before[signal]);
        // Whoever ignores Ctrl-C, or lets it end the program, goes on doing so.
        if (before[SIGINT].sa_handler == SIG_IGN || before[SIGINT].sa_handler == SIG_DFL)
            sigaction(SIGINT, &before[SIGINT], nullptr);
    }
    ~Handlers() {
        for (int signal : SIGNALS) sigaction(signal, &before[signal], nullptr);
        sigaltstack(&stack_before, nullptr);
    }
};

inline const char* what_stopped() {
    const char* guard = current ? current->fiber.stack - GUARD_BYTES : nullptr;
    switch (stop.signal) {
        case SIGINT: case SIGURG: return "was stopped";
        case SIGFPE: return "divides an integer by zero, or the smallest one by -1";
        case SIGABRT: return "calls abort, as a failed assert does, which said why on stderr";
        case SIGSEGV: case SIGBUS:
            if (stop.address >= guard && guard && stop.address < guard + GUARD_BYTES)
                return "has a stack of 256 KiB, and needs more: recursion without end, or large local arrays";
            if (stop.address == nullptr && stop.code > 0 && stop.code < 0x80) return "uses the null pointer";
            if (stop.address && stop.address < static_cast<char*>(nullptr) + 4096) return "uses the null pointer";
            return "uses an address that is none";
        default: return "does what has no meaning: uses the null pointer, divides by zero, or the like";
    }
}

// Name the thread that ran; in between, when none did, the first one that waits and its line.
inline int name_thread() {
    const Thread* thread = current;
    for (int i = 0; !thread && i < n_threads; i++)
        if (threads[i].state != State::exited) thread = &threads[i];
    if (!thread) return snprintf(message, sizeof message, "%s", kernel_name);
    int length = describe(message, sizeof message, *thread);
    if (!current && thread->place.line())
        length += snprintf(message + length, sizeof message - length, ", %s:%u", thread->place.file_name(),
                           thread->place.line());
    return length;
}

// Say in a launch what stopped it, and where in the library's file.
inline const char* stopped(Launch& launch) {
    Dl_info here, there;
    launch.signal = stop.signal;
    launch.interrupts = interrupts_left;
    if (dladdr(reinterpret_cast<void*>(&on_signal), &here) && dladdr(stop.instruction, &there) &&
        here.dli_fbase == there.dli_fbase)
        launch.stopped_at = stop.instruction - static_cast<char*>(here.dli_fbase);
    int length = name_thread();
    snprintf(message + length, sizeof message - length, "\n%s", what_stopped());
    return message;
}

// Run one kernel, whatever it does. Returns the message of what was wrong, or null.
inline const char* launch_guarded(const Entry& entry, Launch& given) {
    launcher = pthread_self();
    interrupts_left = given.interrupts;
    kernel_name = entry.name;
    current = nullptr;
    n_threads = 0;
    stop = {SIGINT};
    const Handlers handlers;
    if (sigsetjmp(way_out, 1)) {
        running = false;
        return stopped(given);
    }
    running = true;  // from here on a signal leads to the way out; Ctrl-C may have been pressed just before
    const char* result = interrupts_left > 0 ? launch(entry, given) : stopped(given);
    running = false;
    return result;
}

inline void stop_launch() {
    if (running) pthread_kill(launcher, SIGURG);
}

}  // namespace emulator
