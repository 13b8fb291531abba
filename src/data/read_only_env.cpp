#include "data/read_only_env.hpp"

#include <fcntl.h>
#include <leveldb/helpers/memenv.h>
#include <unistd.h>

#include <filesystem>

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

class DroppedLog final : public leveldb::Logger {
 public:
  void Logv(const char*, std::va_list) override {}
};

/// The process that holds LevelDB's lock on `file`, 0 if none does.
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

ReadOnlyEnv::ReadOnlyEnv()
    : EnvWrapper(leveldb::Env::Default()), memory_(leveldb::NewMemEnv(target())) {}
ReadOnlyEnv::~ReadOnlyEnv() = default;

leveldb::Env& ReadOnlyEnv::place_of(const std::string& file) {
  return memory_->FileExists(file) ? *memory_ : *target();
}

Status ReadOnlyEnv::NewSequentialFile(const std::string& file, leveldb::SequentialFile** result) {
  return place_of(file).NewSequentialFile(file, result);
}

Status ReadOnlyEnv::NewRandomAccessFile(const std::string& file,
                                        leveldb::RandomAccessFile** result) {
  return place_of(file).NewRandomAccessFile(file, result);
}

Status ReadOnlyEnv::NewWritableFile(const std::string& file, leveldb::WritableFile** result) {
  if (std::filesystem::path(file).extension() != ".ldb") return NewAppendableFile(file, result);
  if (closed_) return Status::IOError(file, "open for reading alone");
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
