#include "data/storage/read_only_env.hpp"

#include <fcntl.h>
#include <leveldb/helpers/memenv.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace doppio {

namespace {

using leveldb::Status;

class DroppedFile final : public leveldb::WritableFile {
 public:
  Status Append(const leveldb::Slice&) override { return {}; }
  Status Close() override { return {}; }
  Status Flush() override { return {}; }
  Status Sync() override { return {}; }
};

/// A table that is read without a memory map. LevelDB's own class uses one, which raises SIGBUS if
/// the file is truncated meanwhile.
class Table final : public leveldb::RandomAccessFile {
 public:
  Table(Descriptor file, std::string name) : file_(std::move(file)), name_(std::move(name)) {}

  Status Read(uint64_t offset, size_t n, leveldb::Slice* result, char* scratch) const override {
    size_t done = 0;
    while (done < n) {
      const ssize_t got =
          ::pread(file_.get(), scratch + done, n - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Status::IOError(name_, std::strerror(errno));
      if (got == 0) return Status::IOError(name_, "cut short");
      done += static_cast<size_t>(got);
    }
    *result = leveldb::Slice(scratch, done);
    return {};
  }

 private:
  const Descriptor file_;
  const std::string name_;
};

class DroppedLog final : public leveldb::Logger {
 public:
  void Logv(const char*, std::va_list) override {}
};

/// Returns the id of the process that holds LevelDB's lock on `file`, or 0.
int writer_of(const std::string& file) {
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  struct flock lock {};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  const bool locked = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK;
  close(fd);
  return locked ? lock.l_pid : 0;
}

}  // namespace

ReadOnlyEnv::ReadOnlyEnv(const std::string& folder)
    : EnvWrapper(leveldb::Env::Default()),
      memory_(leveldb::NewMemEnv(target())),
      folder_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}
ReadOnlyEnv::~ReadOnlyEnv() = default;

leveldb::Env& ReadOnlyEnv::place_of(const std::string& file) {
  return memory_->FileExists(file) ? *memory_ : *target();
}

Status ReadOnlyEnv::NewSequentialFile(const std::string& file, leveldb::SequentialFile** result) {
  return place_of(file).NewSequentialFile(file, result);
}

Status ReadOnlyEnv::NewRandomAccessFile(const std::string& file,
                                        leveldb::RandomAccessFile** result) {
  if (memory_->FileExists(file)) return memory_->NewRandomAccessFile(file, result);
  const std::string name = std::filesystem::path(file).filename();
  Descriptor opened(::openat(folder_.get(), name.c_str(), O_RDONLY | O_CLOEXEC));
  if (opened.get() < 0) return Status::IOError(file, std::strerror(errno));
  *result = new Table(std::move(opened), file);
  return {};
}

Status ReadOnlyEnv::NewWritableFile(const std::string& file, leveldb::WritableFile** result) {
  if (std::filesystem::path(file).extension() != ".ldb") return NewAppendableFile(file, result);
  if (closed_) return Status::IOError(file, "open for reading only");
  return memory_->NewWritableFile(file, result);
}

Status ReadOnlyEnv::NewAppendableFile(const std::string&, leveldb::WritableFile** result) {
  *result = new DroppedFile;
  return {};
}

bool ReadOnlyEnv::FileExists(const std::string& file) { return place_of(file).FileExists(file); }

Status ReadOnlyEnv::GetFileSize(const std::string& file, uint64_t* bytes) {
  return place_of(file).GetFileSize(file, bytes);
}

Status ReadOnlyEnv::RemoveFile(const std::string& file) {
  return memory_->FileExists(file) ? memory_->RemoveFile(file) : Status();
}

Status ReadOnlyEnv::CreateDir(const std::string&) { return {}; }
Status ReadOnlyEnv::RemoveDir(const std::string&) { return {}; }
Status ReadOnlyEnv::RenameFile(const std::string&, const std::string&) { return {}; }

Status ReadOnlyEnv::LockFile(const std::string& file, leveldb::FileLock** lock) {
  if (const int writer = writer_of(file); writer != 0)
    return Status::IOError(file, "process " + std::to_string(writer) + " is writing to it");
  *lock = new leveldb::FileLock;
  return {};
}

Status ReadOnlyEnv::UnlockFile(leveldb::FileLock* lock) {
  delete lock;
  return {};
}

Status ReadOnlyEnv::NewLogger(const std::string&, leveldb::Logger** result) {
  *result = new DroppedLog;
  return {};
}

}  // namespace doppio
