/* Samples the real Linux KSM while it merges PAGES pages whose contents repeat; needs root, leaves KSM stopped.
 *
 *   measure PAGES CONTENTS PAGES_TO_SCAN SLEEP_MS SECONDS WRITES SMART_SCAN MAX_PAGE_SHARING LATE LATE_AT MODE
 *
 * Page i holds content number mix64(i) % CONTENTS (splitmix64's finaliser, seed 7). Every 100 ms, WRITES pages (an LCG picks
 * them) get a word of their own, or, with MODE & 1, all of another of the CONTENTS; then the counters are read. LATE further
 * pages are registered after LATE_AT seconds. MODE & 2: huge pages. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const char *names[] = {"pages_shared", "pages_sharing", "pages_unshared", "pages_volatile", "full_scans",
                              "pages_scanned", "pages_skipped", "stable_node_chains", "stable_node_dups"};

static FILE *knob(const char *name, const char *how) {
    char path[99];
    snprintf(path, sizeof path, "/sys/kernel/mm/ksm/%s", name);
    FILE *file = fopen(path, how);
    if (!file) perror(path), exit(1);
    return file;
}
static long get(const char *name) {
    long value = -1;
    FILE *file = knob(name, "r");
    if (fscanf(file, "%ld", &value) != 1) value = -1;
    fclose(file);
    return value;
}
static void set(const char *name, long value) {
    FILE *file = knob(name, "w");
    fprintf(file, "%ld", value);
    if (fclose(file)) perror(name);
}
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}
static uint64_t mix64(uint64_t i) {
    uint64_t z = i * 0x9E3779B97F4A7C15ull + 7;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}
static void fill(char *page, uint64_t content) {
    uint64_t s = content + 1, *word = (uint64_t *)page;
    for (int k = 0; k < 512; k++) word[k] = s = s * 6364136223846793005ull + 1442695040888963407ull;
}
int main(int c, char **v) {
    if (c < 12) return fprintf(stderr, "11 arguments, see the source\n"), 2;
    long n = atol(v[1]), contents = atol(v[2]), writes = atol(v[6]), late = atol(v[9]), mode = atol(v[11]), first[9];
    double limit = atof(v[5]), late_at = atof(v[10]);
    size_t all = (size_t)(n + late) << 12, large = 2 << 20;
    char *b = mmap(0, all + large, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mode & 2) b = (char *)(((uintptr_t)b + large - 1) & ~(large - 1));
    madvise(b, all, mode & 2 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    for (long i = 0; i < n + late; i++) fill(b + (i << 12), mix64(i) % contents);
    set("run", 2);
    set("pages_to_scan", atol(v[3]));
    set("sleep_millisecs", atol(v[4]));
    set("smart_scan", atol(v[7]));
    set("max_page_sharing", atol(v[8]));
    set("run", 1);
    printf("seconds");
    for (int k = 0; k < 9; k++) first[k] = k >= 4 && k < 7 ? get(names[k]) : 0, printf(",%s", names[k]);
    uint64_t r = 9;
    double begin = now();
    madvise(b, n << 12, MADV_MERGEABLE);
    while (now() - begin < limit) {
        usleep(100000);
        if (late && now() - begin > late_at) madvise(b, all, MADV_MERGEABLE), late = 0;
        for (long w = 0; w < writes; w++) {
            r = r * 6364136223846793005ull + 1;
            char *page = b + ((long)((r >> 33) % n) << 12);
            if (mode & 1) fill(page, (r >> 20) % contents);
            else *(uint64_t *)(page + 8) = r;
        }
        printf("\n%.2f", now() - begin);
        for (int k = 0; k < 9; k++) printf(",%ld", get(names[k]) - first[k]);
    }
    puts("");
    set("run", 2), set("run", 0), set("smart_scan", 1), set("max_page_sharing", 256);
    return 0;
}
