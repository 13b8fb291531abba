#pragma once
#include <leveldb/env.h>

#include <atomic>
#include <memory>
#include <string>

#include "io/descriptor.hpp"

namespace doppio {

/// An environment in which LevelDB reads a database without modifying it: writes to the folder are
/// dropped. Tables that LevelDB builds from an unfinished log are kept in memory until close().
/// Later ones (compactions) fail.
class ReadOnlyEnv final : public leveldb::EnvWrapper {
 public:
  /// `folder` is the database's. Its tables are read from there even if another folder takes its
  /// name meanwhile.
  explicit ReadOnlyEnv(const std::string& folder);
  ~ReadOnlyEnv() override;

  /// Drops all writes from now on, including those to memory.
  void close() { closed_ = true; }

  leveldb::Status NewSequentialFile(const std::string& file,
                                    leveldb::SequentialFile** result) override;
  leveldb::Status NewRandomAccessFile(const std::string& file,
                                      leveldb::RandomAccessFile** result) override;
  leveldb::Status NewWritableFile(const std::string& file, leveldb::WritableFile** result) override;
  leveldb::Status NewAppendableFile(const std::string& file,
                                    leveldb::WritableFile** result) override;
  bool FileExists(const std::string& file) override;
  leveldb::Status GetFileSize(const std::string& file, uint64_t* bytes) override;
  leveldb::Status RemoveFile(const std::string& file) override;
  leveldb::Status CreateDir(const std::string& folder) override;
  leveldb::Status RemoveDir(const std::string& folder) override;
  leveldb::Status RenameFile(const std::string& from, const std::string& to) override;
  leveldb::Status LockFile(const std::string& file, leveldb::FileLock** lock) override;
  leveldb::Status UnlockFile(leveldb::FileLock* lock) override;
  leveldb::Status NewLogger(const std::string& file, leveldb::Logger** result) override;

 private:
  leveldb::Env& place_of(const std::string& file);

  const std::unique_ptr<leveldb::Env> memory_;
  const Descriptor folder_;
  std::atomic<bool> closed_ = false;
};

}  // namespace doppio
