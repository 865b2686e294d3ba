#include "run_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

namespace kronattn {

namespace {

std::string host_name() {
  char host[256] = "host";
  gethostname(host, sizeof host - 1);
  return host;
}

/// Of SLURM: the job, "" outside of one, and how often it was started again.
std::string job() {
  const char* id = std::getenv("SLURM_JOB_ID");
  return id != nullptr ? id : "";
}

long restarts() {
  const char* count = std::getenv("SLURM_RESTART_COUNT");
  return count != nullptr ? std::strtol(count, nullptr, 10) : 0;
}

/// Who holds a lock, as the lock file has it; an empty object if that can't be read.
nlohmann::json owner_of(int descriptor) {
  char text[1024] = "";
  const ssize_t count = pread(descriptor, text, sizeof text, 0);
  nlohmann::json owner =
      count > 0 ? nlohmann::json::parse(text, text + count, nullptr, false) : nlohmann::json();
  return owner.is_object() ? owner : nlohmann::json::object();
}

void write_owner(int descriptor) {
  const std::string text =
      nlohmann::json{{"host", host_name()}, {"process", getpid()}, {"job", job()}, {"restarts", restarts()}}
          .dump() +
      "\n";
  if (ftruncate(descriptor, 0) != 0 || pwrite(descriptor, text.data(), text.size(), 0) < 0) {
    // Only what others say about this run suffers.
  }
}

bool is_predecessor(const nlohmann::json& owner) {
  return !job().empty() && owner.value("job", "") == job() && owner.value("restarts", 0L) < restarts();
}

}  // namespace

std::string run_name() {
  const std::string start = job().empty() ? "" : job() + "." + std::to_string(restarts()) + ".";
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return start + host_name() + "." + std::to_string(getpid()) + "." +
         std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

RunLock::RunLock(const Communicator& comm, const std::string& output)
    : comm_(comm), path_(output + ".partial.lock"), output_(output) {
  comm.together([&] {
    if (!comm.root()) return;
    while (!acquire()) continue;
  });
}

/// One attempt; false if the file changed hands meanwhile.
bool RunLock::acquire() {
  descriptor_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw std::runtime_error(path_ + ": " + std::strerror(errno));
  if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return true;  // no locks here
    const nlohmann::json owner = owner_of(descriptor_);
    close(descriptor_);
    descriptor_ = -1;
    if (!is_predecessor(owner))
      throw std::runtime_error(
          output_ + ": another run writes to it (process " + std::to_string(owner.value("process", 0L)) +
          " on " + owner.value("host", "another host") + "); wait for it, or choose another output");
    unlink(path_.c_str());  // its lock stays on a file without a name
    return false;
  }
  if (!ours()) {
    close(descriptor_);
    return false;
  }
  write_owner(descriptor_);
  return true;
}

/// Whether the name still means the file that this run has locked.
bool RunLock::ours() const {
  struct stat held {
  }, named{};
  return fstat(descriptor_, &held) == 0 && stat(path_.c_str(), &named) == 0 && held.st_dev == named.st_dev &&
         held.st_ino == named.st_ino;
}

RunLock::~RunLock() {
  if (descriptor_ < 0) return;
  if (ours()) unlink(path_.c_str());
  close(descriptor_);
}

void RunLock::confirm() const {
  comm_.together([&] {
    if (descriptor_ >= 0 && !ours())
      throw std::runtime_error(output_ + ": a later start of this job has taken over");
  });
}

}  // namespace kronattn
