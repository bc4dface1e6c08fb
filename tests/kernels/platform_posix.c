#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "platform.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

/* The page behind the region's end is protected: what touches it crashes. */
region region_new(size_t bytes)
{
    const size_t page = page_bytes(), usable = (bytes + page - 1) / page * page;
    void *start = mmap(NULL, usable + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED || mprotect((char *)start + usable, page, PROT_NONE) != 0) {
        perror("kernel_tests: guarded memory");
        exit(EXIT_FAILURE);
    }
    return (region){.start = start, .bytes = usable};
}

void region_free(region memory) { munmap(memory.start, memory.bytes + page_bytes()); }

const char *platform_limits(void) { return ""; }

static const char *crash_subject;

static void print(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0) _exit(EXIT_FAILURE);
}

static void on_crash(int signal_number)
{
    print("CRASH in ");
    print(crash_subject);
    print("\n");
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

void print_on_crash(const char *subject)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    crash_subject = subject;
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++) signal(crashes[i], on_crash);
}
