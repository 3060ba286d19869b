/* Lets one operation on files below the folder FAULTS_BELOW fail, that with the number FAULTS_AT from 1,
 * with the error FAULTS_ERRNO; FAULTS_LAST=1 lets all after it fail too. At its end a process writes how
 * many operations it made to FAULTS_COUNT, if that is given. For LD_PRELOAD; faults.py compiles and uses it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_long steps;
static const char *below;
static long at, error, lasts;

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

__attribute__((constructor)) static void begin(void) {
    below = getenv("FAULTS_BELOW");
    at = number("FAULTS_AT");
    error = number("FAULTS_ERRNO");
    lasts = number("FAULTS_LAST");
}

__attribute__((destructor)) static void end(void) {
    const char *name = getenv("FAULTS_COUNT");
    if (!name) return;
    below = NULL;
    FILE *file = fopen(name, "a");
    if (!file) return;
    fprintf(file, "%ld\n", atomic_load(&steps));
    fclose(file);
}

/* Whether the next operation is to fail. */
static int fails(void) {
    long step = atomic_fetch_add(&steps, 1) + 1;
    if (at && (step == at || (lasts && step > at))) {
        errno = error;
        return 1;
    }
    return 0;
}

static int path_counts(const char *path) {
    if (!below || !path) return 0;
    /* Relative paths are those of the folder that the command was started in. */
    return path[0] != '/' || strncmp(path, below, strlen(below)) == 0;
}

static int file_counts(int fd) {
    char link[64], path[4096];
    if (!below || fd < 3) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return path[0] == '/' && strncmp(path, below, strlen(below)) == 0;
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && path_counts(path) && fails()) return -1; \
        return real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

ssize_t write(int fd, const void *bytes, size_t count) {
    REAL(write);
    if (!file_counts(fd) || !fails()) return real(fd, bytes, count);
    /* A disk takes some of it before it is full. */
    int reason = errno;
    if (real(fd, bytes, count / 2) < 0) return -1;
    errno = reason;
    return -1;
}

#define ON_FILE(name, arguments, values) \
    int name arguments { \
        REAL(name); \
        return file_counts(fd) && fails() ? -1 : real values; \
    }
ON_FILE(fsync, (int fd), (fd))
ON_FILE(fdatasync, (int fd), (fd))
ON_FILE(ftruncate, (int fd, off_t length), (fd, length))
ON_FILE(ftruncate64, (int fd, off64_t length), (fd, length))

int rename(const char *from, const char *to) {
    REAL(rename);
    return path_counts(to) && fails() ? -1 : real(from, to);
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    return path_counts(path) && fails() ? -1 : real(path, mode);
}
