/* CPU time that the kernel takes to reclaim a page, by what the page is.
 *
 *   reclaim_cost CGROUP KIND MIB RUNS [FILE]
 *
 * CGROUP: a memory cgroup (v1) of one's own, whose limit is changed. KIND: dirty (anonymous, written, half of each page random),
 * clean (anonymous, on swap already) or file (page cache of FILE, read once). A child fills MIB within the cgroup. This process, which is
 * outside, then lowers the cgroup's limit to half of what it holds: the kernel reclaims within that system call, so the thread's CPU time
 * is what reclaim takes. A line of CSV a run: kind, pages reclaimed, CPU and wall-clock ns a page, pages written to swap. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *group;

static double now(clockid_t clock) { struct timespec t; clock_gettime(clock, &t); return t.tv_sec * 1e9 + t.tv_nsec; }

static long held(void) {
    char path[512]; snprintf(path, sizeof path, "%s/memory.usage_in_bytes", group);
    FILE *file = fopen(path, "r"); long value = -1;
    if (file) { if (fscanf(file, "%ld", &value) != 1) value = -1; fclose(file); }
    return value;
}

static int set(const char *name, long value) {
    char path[512], text[32]; snprintf(path, sizeof path, "%s/%s", group, name);
    int file = open(path, O_WRONLY), length = snprintf(text, sizeof text, "%ld", value), done = write(file, text, length) == length;
    close(file); return done;
}

static long swapped_out(void) {
    FILE *file = fopen("/proc/vmstat", "r"); char name[64]; long value, found = -1;
    while (fscanf(file, "%63s %ld", name, &value) == 2) if (!strcmp(name, "pswpout")) found = value;
    fclose(file); return found;
}

static void fill(const char *kind, long bytes, const char *path) {
    if (!strcmp(kind, "file")) {
        int file = open(path, O_RDONLY); char *buffer = malloc(1 << 20);
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        for (long at = 0; at < bytes; at += 1 << 20) if (pread(file, buffer, 1 << 20, at) <= 0) break;
        return;
    }
    char *memory = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); uint32_t noise = 1;
    madvise(memory, bytes, MADV_NOHUGEPAGE);
    for (long at = 0; at < bytes; at += 4) { /* the second half of each page is one number again and again */
        if (!(at & 2048)) noise = noise * 1664525u + 1013904223u;
        *(volatile uint32_t *)(memory + at) = at & 2048 ? 7 : noise;
    }
    if (strcmp(kind, "clean")) return;
    madvise(memory, bytes, MADV_PAGEOUT);
    for (long at = 0; at < bytes; at += 4096) (void)*(volatile char *)(memory + at);
}

int main(int count, char **words) {
    if (count < 5) { fprintf(stderr, "usage: reclaim_cost CGROUP KIND MIB RUNS [FILE]\n"); return 2; }
    group = words[1]; long bytes = atol(words[3]) << 20, runs = atol(words[4]);
    for (long run = 0; run < runs; run++) {
        int ready[2], go[2]; char byte;
        if (pipe(ready) || pipe(go)) return 1;
        set("memory.limit_in_bytes", -1);
        if (!fork()) {
            set("cgroup.procs", getpid()); fill(words[2], bytes, count > 5 ? words[5] : "");
            _exit(write(ready[1], "r", 1) != 1 || read(go[0], &byte, 1) != 1);
        }
        if (read(ready[0], &byte, 1) != 1) return 1;
        long before = held(), written = swapped_out(); double cpu = now(CLOCK_THREAD_CPUTIME_ID), wall = now(CLOCK_MONOTONIC);
        if (!set("memory.limit_in_bytes", before / 2 & ~4095L)) { fprintf(stderr, "reclaim_cost: the limit isn't reached\n"); return 1; }
        cpu = now(CLOCK_THREAD_CPUTIME_ID) - cpu; wall = now(CLOCK_MONOTONIC) - wall;
        long pages = (before - held()) / 4096;
        printf("%s,%ld,%.0f,%.0f,%ld\n", words[2], pages, cpu / pages, wall / pages, swapped_out() - written); fflush(stdout);
        if (write(go[1], "g", 1) != 1) return 1;
        wait(0); close(ready[0]); close(ready[1]); close(go[0]); close(go[1]);
    }
    return 0;
}
