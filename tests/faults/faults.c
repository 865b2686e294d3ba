// Makes one call of a run fail, or ends a rank at it: to be loaded before the program's libraries (LD_PRELOAD).
//
// Calls that can fail are numbered from 1 in each rank as they come: MPI's collectives and file calls, whoever makes
// them (kronattn or HDF5), and the system's calls on files whose path holds $FAULT_PATH.
//
//   FAULT_RANK   the rank that is hit                    FAULT_PATH   part of the paths that count
//   FAULT_AT     number of the call                      FAULT_LOG    a file that gets "number name" of every call
//   FAULT_NAME   of the call, if given: the first one of that name from that number on, since numbers shift a little
//                from run to run
//   FAULT_KIND   once    the call fails without being made: ENOSPC of what writes, EIO of the rest, MPI_ERR_OTHER of MPI's
//                always  the same, and every later call of the system's that writes fails, too, as on a full disk
//                short   half of what was to be written is written; of other calls: as `once`
//                kill    the rank is killed before the call
//                cut     the problem file ($FAULT_PATH/problem.h5) loses its second half before the call
//
// Calls of MPI's that fail raise the error handler of their communicator, as MPI's own failures do. HDF5 goes on with
// collective calls after one of MPI's failed it on one rank, as MPI does after a file could not be opened, and nothing
// short of a watchdog ends that: such calls have names of their own, "HDF5:MPI_Bcast" and "MPI:open".
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <mpi.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static long calls = 0;

static const char* setting(const char* name) {
  const char* value = getenv(name);
  return value != NULL ? value : "";
}

static int is_kind(const char* kind) {
  return strcmp(setting("FAULT_KIND"), kind) == 0;
}

static int of_this_rank(void) {
  const char* rank = getenv("OMPI_COMM_WORLD_RANK");
  return strcmp(setting("FAULT_RANK"), rank != NULL ? rank : "0") == 0;
}

static void note(const char* name) {
  if (*setting("FAULT_LOG") == '\0') return;
  static int (*real_open)(const char*, int, ...) = NULL;
  static ssize_t (*real_write)(int, const void*, size_t) = NULL;
  if (real_open == NULL) {
    real_open = (int (*)(const char*, int, ...))dlsym(RTLD_NEXT, "open");
    real_write = (ssize_t(*)(int, const void*, size_t))dlsym(RTLD_NEXT, "write");
  }
  char line[128];
  const int length = snprintf(line, sizeof line, "%ld %s\n", calls, name);
  const int descriptor = real_open(setting("FAULT_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (descriptor >= 0 && real_write(descriptor, line, (size_t)length) < 0) abort();
  close(descriptor);
}

/// Counts a call and says whether it fails. `writes`: it would fail on a full disk.
static int fails(const char* name, int writes) {
  if (!of_this_rank()) return 0;
  ++calls;
  note(name);
  static int hit = 0;
  if (hit) return writes && is_kind("always");
  const long at = atol(setting("FAULT_AT"));
  if (at == 0 || calls < at || (*setting("FAULT_NAME") != '\0' && strcmp(name, setting("FAULT_NAME")) != 0)) return 0;
  hit = 1;
  if (is_kind("kill")) raise(SIGKILL);
  if (is_kind("cut")) {
    char path[4096];
    snprintf(path, sizeof path, "%s/problem.h5", setting("FAULT_PATH"));
    struct stat status;
    if (stat(path, &status) != 0 || truncate(path, status.st_size / 2) != 0) abort();
    return 0;
  }
  return 1;
}

/// The same for a call that was made from `caller`, in a library whose path holds `part` or elsewhere.
static int fails_in(const char* library, const char* part, const void* caller, const char* name, int writes) {
  Dl_info made_by;
  char full[96];
  const int inside =
      dladdr(caller, &made_by) != 0 && made_by.dli_fname != NULL && strstr(made_by.dli_fname, part) != NULL;
  snprintf(full, sizeof full, "%s%s%s", inside ? library : "", inside ? ":" : "", name);
  return fails(full, writes);
}

// ---- the system's calls on files

static int counts_path(const char* path) {
  return *setting("FAULT_PATH") != '\0' && strstr(path, setting("FAULT_PATH")) != NULL;
}

static int counts(int descriptor) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = '\0';
  return counts_path(path);
}

#define REAL(type, name, arguments)                                  \
  static type(*real) arguments = NULL;                               \
  if (real == NULL) real = (type(*) arguments)dlsym(RTLD_NEXT, name)

static int failed(int error) {
  errno = error;
  return -1;
}

#define OPEN(name)                                                                              \
  int name(const char* path, int flags, ...) {                                                  \
    mode_t mode = 0;                                                                            \
    if ((flags & O_CREAT) != 0) {                                                               \
      va_list rest;                                                                             \
      va_start(rest, flags);                                                                    \
      mode = va_arg(rest, mode_t);                                                              \
      va_end(rest);                                                                             \
    }                                                                                           \
    REAL(int, #name, (const char*, int, ...));                                                  \
    const int writes = (flags & O_CREAT) != 0;                                                  \
    if (counts_path(path) && fails_in("MPI", "mca_", __builtin_return_address(0), #name, writes)) return failed(writes ? ENOSPC : EIO);        \
    return real(path, flags, mode);                                                             \
  }
OPEN(open)
OPEN(open64)

// Writes: a short one is followed by the rest, if the program asks for it.
#define SHORT_OF(size) (is_kind("short") && (size) > 1)

ssize_t write(int descriptor, const void* data, size_t size) {
  REAL(ssize_t, "write", (int, const void*, size_t));
  if (counts(descriptor) && fails("write", 1))
    return SHORT_OF(size) ? real(descriptor, data, size / 2) : failed(ENOSPC);
  return real(descriptor, data, size);
}

#define PWRITE(name, offset_type)                                                      \
  ssize_t name(int descriptor, const void* data, size_t size, offset_type offset) {    \
    REAL(ssize_t, #name, (int, const void*, size_t, offset_type));                     \
    if (counts(descriptor) && fails(#name, 1))                                         \
      return SHORT_OF(size) ? real(descriptor, data, size / 2, offset) : failed(ENOSPC); \
    return real(descriptor, data, size, offset);                                       \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define PWRITEV(name, offset_type)                                                         \
  ssize_t name(int descriptor, const struct iovec* parts, int count, offset_type offset) { \
    REAL(ssize_t, #name, (int, const struct iovec*, int, offset_type));                    \
    if (counts(descriptor) && fails(#name, 1))                                             \
      return SHORT_OF(count) ? real(descriptor, parts, count / 2, offset) : failed(ENOSPC); \
    return real(descriptor, parts, count, offset);                                         \
  }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

#define PREAD(name, offset_type)                                                       \
  ssize_t name(int descriptor, void* data, size_t size, offset_type offset) {          \
    REAL(ssize_t, #name, (int, void*, size_t, offset_type));                           \
    if (counts(descriptor) && fails(#name, 0))                                         \
      return SHORT_OF(size) ? real(descriptor, data, size / 2, offset) : failed(EIO);  \
    return real(descriptor, data, size, offset);                                       \
  }
PREAD(pread, off_t)
PREAD(pread64, off64_t)

#define PREADV(name, offset_type)                                                         \
  ssize_t name(int descriptor, const struct iovec* parts, int count, offset_type offset) { \
    REAL(ssize_t, #name, (int, const struct iovec*, int, offset_type));                   \
    if (counts(descriptor) && fails(#name, 0)) return failed(EIO);                        \
    return real(descriptor, parts, count, offset);                                        \
  }
PREADV(preadv, off_t)
PREADV(preadv64, off64_t)

ssize_t read(int descriptor, void* data, size_t size) {
  REAL(ssize_t, "read", (int, void*, size_t));
  if (counts(descriptor) && fails("read", 0)) return failed(EIO);
  return real(descriptor, data, size);
}

#define SIMPLE(name, parameters, types, values, counted, writes, error) \
  int name parameters {                                                 \
    REAL(int, #name, types);                                            \
    if (counted && fails(#name, writes)) return failed(error);          \
    return real values;                                                 \
  }
SIMPLE(ftruncate, (int fd, off_t size), (int, off_t), (fd, size), counts(fd), 1, ENOSPC)
SIMPLE(ftruncate64, (int fd, off64_t size), (int, off64_t), (fd, size), counts(fd), 1, ENOSPC)
SIMPLE(fallocate, (int fd, int mode, off_t from, off_t size), (int, int, off_t, off_t), (fd, mode, from, size),
       counts(fd), 1, ENOSPC)
SIMPLE(fallocate64, (int fd, int mode, off64_t from, off64_t size), (int, int, off64_t, off64_t),
       (fd, mode, from, size), counts(fd), 1, ENOSPC)
SIMPLE(fsync, (int fd), (int), (fd), counts(fd), 0, EIO)
SIMPLE(fdatasync, (int fd), (int), (fd), counts(fd), 0, EIO)
SIMPLE(rename, (const char* from, const char* to), (const char*, const char*), (from, to), counts_path(to), 1, ENOSPC)
SIMPLE(link, (const char* from, const char* to), (const char*, const char*), (from, to), counts_path(to), 1, ENOSPC)

// ---- MPI's calls

static int failed_on(MPI_Comm comm) {
  PMPI_Comm_call_errhandler(comm, MPI_ERR_OTHER);
  return MPI_ERR_OTHER;
}

#define COLLECTIVE(name, parameters, values)             \
  int MPI_##name parameters {                            \
    if (fails_in("HDF5", "hdf5", __builtin_return_address(0), "MPI_" #name, 0)) return failed_on(comm); \
    return PMPI_##name values;                           \
  }
COLLECTIVE(Allreduce, (const void* from, void* to, int count, MPI_Datatype type, MPI_Op op, MPI_Comm comm),
           (from, to, count, type, op, comm))
COLLECTIVE(Bcast, (void* data, int count, MPI_Datatype type, int root, MPI_Comm comm), (data, count, type, root, comm))
COLLECTIVE(Barrier, (MPI_Comm comm), (comm))
COLLECTIVE(Allgather,
           (const void* from, int count, MPI_Datatype type, void* to, int received, MPI_Datatype kind, MPI_Comm comm),
           (from, count, type, to, received, kind, comm))
COLLECTIVE(Alltoallv,
           (const void* from, const int* counts_to, const int* places_to, MPI_Datatype type, void* to,
            const int* counts_from, const int* places_from, MPI_Datatype kind, MPI_Comm comm),
           (from, counts_to, places_to, type, to, counts_from, places_from, kind, comm))
COLLECTIVE(Comm_dup, (MPI_Comm comm, MPI_Comm* copy), (comm, copy))
COLLECTIVE(Comm_split_type, (MPI_Comm comm, int type, int key, MPI_Info info, MPI_Comm* part),
           (comm, type, key, info, part))

// Errors of files are returned: that is MPI's default for them.
#define OF_FILE(name, parameters, values)             \
  int MPI_File_##name parameters {                    \
    if (fails("MPI_File_" #name, 0)) return MPI_ERR_IO; \
    return PMPI_File_##name values;                   \
  }
OF_FILE(open, (MPI_Comm comm, const char* path, int mode, MPI_Info info, MPI_File* file), (comm, path, mode, info, file))
OF_FILE(set_size, (MPI_File file, MPI_Offset size), (file, size))
OF_FILE(sync, (MPI_File file), (file))
OF_FILE(set_view, (MPI_File file, MPI_Offset place, MPI_Datatype entry, MPI_Datatype layout, const char* kind,
                   MPI_Info info),
        (file, place, entry, layout, kind, info))
OF_FILE(read_at, (MPI_File file, MPI_Offset place, void* data, int count, MPI_Datatype type, MPI_Status* status),
        (file, place, data, count, type, status))
OF_FILE(write_at,
        (MPI_File file, MPI_Offset place, const void* data, int count, MPI_Datatype type, MPI_Status* status),
        (file, place, data, count, type, status))
OF_FILE(read_at_all, (MPI_File file, MPI_Offset place, void* data, int count, MPI_Datatype type, MPI_Status* status),
        (file, place, data, count, type, status))
OF_FILE(write_at_all,
        (MPI_File file, MPI_Offset place, const void* data, int count, MPI_Datatype type, MPI_Status* status),
        (file, place, data, count, type, status))
