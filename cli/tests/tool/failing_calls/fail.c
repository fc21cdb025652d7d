// Fails one call of a process among those on files below a directory, if it is preloaded.
//
// FAIL_BELOW is the directory. FAIL_AT is the number of the call that fails, from 1; 0 for none. FAIL_CALL is the
// name of a call that always fails. FAIL_LOG is a file that gets the number of calls, and the name of the call
// that failed.
#define _GNU_SOURCE
#define _LARGEFILE64_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES (1 << 16)

static const char *below;
static long fail_at;
static const char *fail_call;
static atomic_long calls;
static const char *failed = "-";
// Whether a descriptor is of a file below the directory.
static atomic_char is_mine[FILES];

__attribute__((constructor)) static void begin(void) {
  const char *at = getenv("FAIL_AT");
  fail_at = at ? atol(at) : 0;
  below = getenv("FAIL_BELOW");
  fail_call = getenv("FAIL_CALL");
}

__attribute__((destructor)) static void end(void) {
  const char *path = getenv("FAIL_LOG");
  FILE *log = path ? fopen(path, "w") : NULL;
  if (log) {
    fprintf(log, "%ld %s\n", atomic_load(&calls), failed);
    fclose(log);
  }
}

static int mine(int fd) { return fd >= 0 && fd < FILES && atomic_load(&is_mine[fd]); }

static int mine_at(int fd, const char *path) {
  if (path && path[0] == '/') return below && strncmp(path, below, strlen(below)) == 0;
  return mine(fd);
}

static int mine_path(const char *path) { return mine_at(-1, path); }

static int hit(const char *name, int error) {
  int is_meant = fail_call && strcmp(name, fail_call) == 0;
  if (atomic_fetch_add(&calls, 1) + 1 != fail_at && !is_meant) return 0;
  failed = name;
  errno = error;
  return 1;
}

static int keep(int fd, int is) {
  if (fd >= 0 && fd < FILES) atomic_store(&is_mine[fd], is);
  return fd;
}

#define REAL(type, name, params) \
  static type(*real) params;     \
  if (!real) real = (type(*) params)dlsym(RTLD_NEXT, #name)

#define CALL(type, bad, name, params, args, counted, error) \
  type name params {                                        \
    REAL(type, name, params);                               \
    if ((counted) && hit(#name, error)) return bad;         \
    return real args;                                       \
  }

#define MODE(flags)                       \
  mode_t mode = 0;                        \
  if (flags & (O_CREAT | O_TMPFILE)) {    \
    va_list rest;                         \
    va_start(rest, flags);                \
    mode = va_arg(rest, mode_t);          \
    va_end(rest);                         \
  }

#define OPEN(name)                                              \
  int name(const char *path, int flags, ...) {                  \
    REAL(int, name, (const char *, int, ...));                  \
    MODE(flags)                                                 \
    int is = mine_path(path);                                   \
    if (is && hit(#name, EIO)) return -1;                       \
    return keep(real(path, flags, mode), is);                   \
  }

#define OPENAT(name)                                            \
  int name(int dir, const char *path, int flags, ...) {         \
    REAL(int, name, (int, const char *, int, ...));             \
    MODE(flags)                                                 \
    int is = mine_at(dir, path);                                \
    if (is && hit(#name, EIO)) return -1;                       \
    return keep(real(dir, path, flags, mode), is);              \
  }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

DIR *opendir(const char *path) {
  REAL(DIR *, opendir, (const char *));
  int is = mine_path(path);
  if (is && hit("opendir", EIO)) return NULL;
  DIR *dir = real(path);
  if (dir) keep(dirfd(dir), is);
  return dir;
}

CALL(DIR *, NULL, fdopendir, (int fd), (fd), mine(fd), EIO)
CALL(struct dirent64 *, NULL, readdir64, (DIR * dir), (dir), mine(dirfd(dir)), EIO)
CALL(ssize_t, -1, read, (int fd, void *to, size_t n), (fd, to, n), mine(fd), EIO)
CALL(ssize_t, -1, pread64, (int fd, void *to, size_t n, off64_t at), (fd, to, n, at), mine(fd), EIO)
CALL(ssize_t, -1, write, (int fd, const void *from, size_t n), (fd, from, n), mine(fd), ENOSPC)
CALL(ssize_t, -1, pwrite64, (int fd, const void *from, size_t n, off64_t at), (fd, from, n, at), mine(fd), ENOSPC)
CALL(ssize_t, -1, writev, (int fd, const struct iovec *from, int n), (fd, from, n), mine(fd), ENOSPC)
CALL(ssize_t, -1, copy_file_range, (int fd, off64_t *at, int to, off64_t *to_at, size_t n, unsigned flags),
     (fd, at, to, to_at, n, flags), mine(fd), EIO)
CALL(int, -1, fsync, (int fd), (fd), mine(fd), EIO)
CALL(int, -1, fdatasync, (int fd), (fd), mine(fd), EIO)
CALL(int, -1, ftruncate64, (int fd, off64_t len), (fd, len), mine(fd), EIO)
CALL(int, -1, rename, (const char *from, const char *to), (from, to), mine_path(from), EIO)
CALL(int, -1, link, (const char *from, const char *to), (from, to), mine_path(from), EIO)
CALL(int, -1, linkat, (int dir, const char *from, int to_dir, const char *to, int flags), (dir, from, to_dir, to, flags),
     mine_at(dir, from), EIO)
CALL(int, -1, unlink, (const char *path), (path), mine_path(path), EIO)
CALL(int, -1, unlinkat, (int fd, const char *path, int flags), (fd, path, flags), mine_at(fd, path), EIO)
CALL(int, -1, mkdir, (const char *path, mode_t mode), (path, mode), mine_path(path), ENOSPC)
CALL(int, -1, rmdir, (const char *path), (path), mine_path(path), EIO)
CALL(int, -1, stat64, (const char *path, struct stat64 *to), (path, to), mine_path(path), EIO)
CALL(int, -1, lstat64, (const char *path, struct stat64 *to), (path, to), mine_path(path), EIO)
CALL(int, -1, fstat64, (int fd, struct stat64 *to), (fd, to), mine(fd), EIO)
CALL(int, -1, fstatat64, (int fd, const char *path, struct stat64 *to, int flags), (fd, path, to, flags),
     mine_at(fd, path), EIO)
CALL(int, -1, flock, (int fd, int how), (fd, how), mine(fd), EIO)
CALL(int, -1, statx, (int fd, const char *path, int flags, unsigned mask, struct statx *to),
     (fd, path, flags, mask, to), mine_at(fd, path), EIO)
