#pragma once
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/storage/database.hpp"
#include "io/descriptor.hpp"

namespace doppio {

/// The T that begins `offset` bytes after `bytes`, which need not be aligned for it.
template <class T>
T load_at(const void* bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, static_cast<const char*>(bytes) + offset, sizeof value);
  return value;
}

/// "PATH/data.mdb".
std::string lmdb_data_file(const std::string& path);

/// True if the folder's data.mdb begins as LMDB's files do, or is empty.
bool looks_like_lmdb(const std::string& path);

/// A B+ tree of pages, as an LMDB file's head describes it.
struct LmdbTree {
  std::uint16_t flags = 0, depth = 0;
  std::uint64_t entries = 0;
  std::uint64_t root = 0;  // number of a page; kNone: no records
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
};

/// A node of a page: of a leaf a record, of a branch a child.
struct LmdbNode {
  std::string_view key;
  std::uint16_t flags = 0;
  std::uint64_t child = 0;        // page number, of a branch
  std::uint64_t value_bytes = 0;  // of a leaf
  std::string_view value;         // of a leaf, where it lies in the page
  std::uint64_t overflow = 0;     // page where the value begins; 0: it lies in the page
};

/// A branch or leaf page whose nodes are known to lie within it, apart from each other.
class LmdbPage {
 public:
  std::uint64_t number = 0;
  bool leaf = false;
  std::size_t size() const;  // nodes
  LmdbNode node(std::size_t i) const;

 private:
  friend class LmdbFile;
  const unsigned char* node_at(std::size_t i) const;

  std::vector<unsigned char> bytes_;
};

/// An LMDB database, read without liblmdb. Through its memory map a file that is cut meanwhile, or
/// a failing disk, ends the process with SIGBUS, and it trusts every offset of the file. Here all
/// that is read is checked, and whatever is wrong throws Error.
class LmdbFile {
 public:
  explicit LmdbFile(const std::string& path);

  const LmdbTree& free_pages() const { return trees_[0]; }
  const LmdbTree& records() const { return trees_[1]; }
  std::uint64_t pages() const { return pages_; }
  std::uint64_t bytes() const { return file_bytes_; }

  /// Reads a page of `tree` that lies `level` steps below its root.
  LmdbPage page(const LmdbTree& tree, std::uint64_t number, int level) const;
  /// Reads record `i` of a leaf.
  Record record(const LmdbPage& leaf, std::size_t i) const;
  /// The number of pages that a value on pages of its own takes. Throws: Error if they do not hold
  /// it.
  std::uint64_t overflow_pages(const LmdbNode& node) const;
  /// Reads the value of a record whose overflow_pages(), if it has any, were looked at.
  void read_value(const LmdbNode& node, char* to) const;
  /// Throws: Error if somebody has written to the database since it was opened.
  void require_unchanged() const;

  [[noreturn]] void report_damage(const std::string& what) const;
  [[noreturn]] void report_cut() const;

 private:
  void read(void* out, std::size_t bytes, std::uint64_t from) const;
  std::string heads() const;
  void require_plain_records(const LmdbPage& leaf) const;

  std::string path_;
  Descriptor file_;
  std::uint32_t page_bytes_ = 0;
  std::uint64_t file_bytes_ = 0, pages_ = 0;
  LmdbTree trees_[2];
  std::string heads_;
};

/// A walk over the leaves of a tree, from left to right.
class LmdbWalk {
 public:
  LmdbWalk(const LmdbFile& file, const LmdbTree& tree) : file_(file), tree_(tree) {}

  /// Moves to the first leaf; false if there is none.
  bool first();
  /// Moves to the last leaf; false if there is none.
  bool last();
  /// Moves to the next leaf; false after the last.
  bool next();
  const LmdbPage& leaf() const { return path_.back().page; }

  /// Called with each page on the way down, if set.
  std::function<void(const LmdbPage&)> on_page;

 private:
  struct Step {
    LmdbPage page;
    std::size_t at;
  };
  void descend(std::uint64_t number, bool to_last);

  const LmdbFile& file_;
  const LmdbTree& tree_;
  std::vector<Step> path_;
};

}  // namespace doppio
