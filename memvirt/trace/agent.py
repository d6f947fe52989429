"""A helper inside the recorded program: a thread that cuts mappings, clears accessed bits and has writes noted, when it is told to.

It is a library that the dynamic linker loads before the program's own (LD_PRELOAD), compiled when it is needed. It touches no
memory of the program and handles no signal or fault, so the program's system calls are as they were.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

from memvirt.errors import MemvirtError

REQUEST = struct.Struct("=QQq")  #: address, length, what
COLD, NO_DUMP, DUMP, NOTE_WRITES, ANSWER = 20, 16, 17, -1, -2  #: the first three are advice of madvise(2)
PIPES = "MEMVIRT_AGENT"
SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct request { uint64_t address, length; int64_t what; };
static int from, to, writes = -1;

static int note_writes(uint64_t address, uint64_t length)
{
    uint64_t range[4] = {address, length, 2, 0};          /* struct uffdio_register, UFFDIO_REGISTER_MODE_WP */
    if (writes == -1) {
        uint64_t api[3] = {0xAA, 1 << 15 | 1 << 13 | 1 << 12, 0};  /* WP_ASYNC, WP_UNPOPULATED, WP_HUGETLBFS_SHMEM */
        writes = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | 1);
        if (writes >= 0 && ioctl(writes, 0xC018AA3Ful, api)) { close(writes); writes = -2; }
    }
    return writes < 0 ? -1 : ioctl(writes, 0xC020AA00ul, range);
}

static void *serve(void *unused)
{
    struct request next;
    int64_t failed = 0;
    while (read(from, &next, sizeof next) == sizeof next) {
        if (next.what == -2) {
            if (write(to, &failed, sizeof failed) != sizeof failed) break;
            failed = 0;
        } else if (next.what == -1) {
            failed += note_writes(next.address, next.length) != 0;
        } else {
            failed += madvise((void *)next.address, next.length, next.what) != 0;
        }
    }
    return NULL;
}

__attribute__((constructor)) static void begin(void)
{
    char own[24], *pipes = getenv("MEMVIRT_AGENT"), *owner = getenv("MEMVIRT_AGENT_PID");
    pthread_t thread;
    sigset_t all, before;
    if (!pipes || sscanf(pipes, "%d,%d", &from, &to) != 2) return;
    snprintf(own, sizeof own, "%d", (int)getpid());
    if (owner && atoi(owner) != (int)getpid()) { close(from); close(to); return; }  /* a child's */
    setenv("MEMVIRT_AGENT_PID", own, 1);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (!pthread_create(&thread, NULL, serve, NULL)) pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
"""


def build(folder: Path) -> Path:
    """Compile the library.

    Raises
    ------
    MemvirtError
        If there is no C compiler.
    """
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        raise MemvirtError("recording pages needs a C compiler (cc) and Linux (Debian: apt-get install gcc libc6-dev)")
    source, library = folder / "agent.c", folder / "agent.so"
    source.write_text(SOURCE)
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source), "-lpthread"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MemvirtError(f"{compiler} can't compile the helper: {(done.stderr.splitlines() or ['no reason given'])[0]}")
    return library


class Agent:
    """The recorder's end of the helper."""

    def __init__(self, command: list[str], library: Path) -> None:
        to_read, self._requests = os.pipe()
        self._answers, to_write = os.pipe()
        before = os.environ.get("LD_PRELOAD")
        preload = f"{library}:{before}" if before else str(library)
        environment = {**os.environ, "LD_PRELOAD": preload, PIPES: f"{to_read},{to_write}"}
        environment.pop(f"{PIPES}_PID", None)
        try:
            self.process = subprocess.Popen(command, pass_fds=[to_read, to_write], env=environment, start_new_session=True)
        finally:
            os.close(to_read)
            os.close(to_write)
        os.set_blocking(self._answers, False)

    def ask(self, requests: list[tuple[int, int, int]], patience: float = 10.0) -> int | None:
        """Have advice given to ranges; how many failed, or None where nobody answers."""
        import select

        data = b"".join(REQUEST.pack(*request) for request in [*requests, (0, 0, ANSWER)])
        try:
            for first in range(0, len(data), 4080):  # whole requests, and at once: less than a pipe takes whole
                os.write(self._requests, data[first : first + 4080])
        except BrokenPipeError:
            return None
        if not select.select([self._answers], [], [], patience)[0]:
            return None
        answer = os.read(self._answers, 8)
        return int.from_bytes(answer, "little", signed=True) if len(answer) == 8 else None

    def close(self) -> None:
        """Close the pipes."""
        os.close(self._requests)
        os.close(self._answers)
