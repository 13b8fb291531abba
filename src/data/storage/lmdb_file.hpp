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

/// Loads the T at `bytes` + `offset`, which need not be aligned.
template <class T>
T load_at(const void* bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, static_cast<const char*>(bytes) + offset, sizeof value);
  return value;
}

/// Returns "PATH/data.mdb".
std::string lmdb_data_file(const std::string& path);

/// Returns true if the folder's data.mdb is empty or has LMDB's magic number.
bool looks_like_lmdb(const std::string& path);

/// A B+ tree of pages, as described in the meta page of an LMDB file.
struct LmdbTree {
  std::uint16_t flags = 0, depth = 0;
  std::uint64_t entries = 0;
  std::uint64_t root = 0;  // page number; kNone: no records
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
};

/// A node of a page: a record in a leaf, or a child in a branch.
struct LmdbNode {
  std::string_view key;
  std::uint16_t flags = 0;
  std::uint64_t child = 0;        // page number, in branches only
  std::uint64_t value_bytes = 0;  // in leaves only
  std::string_view value;         // in leaves only, if stored in the page
  std::uint64_t overflow = 0;     // first page of the value; 0: it is stored in the leaf
};

/// A branch or leaf page whose nodes are checked to be inside the page and not to overlap.
class LmdbPage {
 public:
  std::uint64_t number = 0;
  bool leaf = false;
  std::size_t size() const;  // number of nodes
  LmdbNode node(std::size_t i) const;

 private:
  friend class LmdbFile;
  const unsigned char* node_at(std::size_t i) const;

  std::vector<unsigned char> bytes_;
};

/// An LMDB database, read without liblmdb. liblmdb does not check offsets in the file, and its
/// memory map raises SIGBUS if the file is truncated meanwhile or the disk fails. This class checks
/// everything that it reads. Throws: Error if the file is invalid.
class LmdbFile {
 public:
  explicit LmdbFile(const std::string& path);

  const LmdbTree& free_pages() const { return trees_[0]; }
  const LmdbTree& records() const { return trees_[1]; }
  std::uint64_t pages() const { return pages_; }
  std::uint64_t bytes() const { return file_bytes_; }

  /// Reads a page of `tree`, `level` levels below the root.
  LmdbPage page(const LmdbTree& tree, std::uint64_t number, int level) const;
  /// Reads record `i` of a leaf.
  Record record(const LmdbPage& leaf, std::size_t i) const;
  /// Returns the number of overflow pages of a value. Throws: Error if the value does not fit in
  /// them.
  std::uint64_t overflow_pages(const LmdbNode& node) const;
  /// Reads the value of a record. Call overflow_pages() first if it has overflow pages.
  void read_value(const LmdbNode& node, char* to) const;
  /// Throws: Error if the database has been written to since it was opened.
  void require_unchanged() const;

  /// Closes the file. Until reopen() nothing may be read.
  void close() { file_ = Descriptor(); }
  bool is_open() const { return file_.get() >= 0; }
  /// Opens the file again. Throws: Error as require_unchanged().
  void reopen();
  const std::string& path() const { return path_; }

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

/// Iterates over the leaves of a tree from left to right.
class LmdbWalk {
 public:
  LmdbWalk(const LmdbFile& file, const LmdbTree& tree) : file_(file), tree_(tree) {}

  /// Moves to the first leaf. Returns false if there is none.
  bool first();
  /// Moves to the last leaf. Returns false if there is none.
  bool last();
  /// Moves to the next leaf. Returns false after the last.
  bool next();
  /// Moves to the leaf that contains `key` if the tree does. Returns false if there is no leaf.
  bool find(std::string_view key);
  const LmdbPage& leaf() const { return path_.back().page; }

  /// If set, called with each page on the path to a leaf.
  std::function<void(const LmdbPage&)> on_page;

 private:
  struct Step {
    LmdbPage page;
    std::size_t at;
  };
  /// Descends from page `number` to a leaf by way of the nodes that `choose(page)` returns.
  template <class Choose>
  void descend(std::uint64_t number, Choose choose);

  const LmdbFile& file_;
  const LmdbTree& tree_;
  std::vector<Step> path_;
};

}  // namespace doppio
