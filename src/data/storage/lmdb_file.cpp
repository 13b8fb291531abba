#include "data/storage/lmdb_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "core/printable.hpp"
#include "doppio/error.hpp"
#include "io/input_file.hpp"

namespace doppio {

namespace {

// The format of liblmdb 0.9 on 64-bit little-endian machines, in bytes from the start of a page.
constexpr std::size_t kPageHead = 16, kPageFlags = 10, kLower = 12, kUpper = 14, kRunLength = 12;
constexpr std::size_t kMagic = 16, kVersion = 20, kTrees = 40, kTreeBytes = 48, kLastPage = 136,
                      kTransaction = 144, kMetaBytes = 152;
constexpr std::size_t kNodeHead = 8;
constexpr std::uint32_t kMagicNumber = 0xBEEFC0DE;
enum PageFlag : std::uint16_t { kBranch = 1, kLeaf = 2, kOverflow = 4, kKinds = 0x6F };
enum NodeFlag : std::uint16_t { kBigData = 1, kSubData = 2, kDuplicates = 4 };
constexpr std::uint16_t kDuplicateKeys = 0x04 | 0x10 | 0x20 | 0x40;  // flags of a tree
constexpr int kMaxDepth = 32;

LmdbTree read_tree(const char* head) {
  LmdbTree tree;
  tree.flags = load_at<std::uint16_t>(head, 4);
  tree.depth = load_at<std::uint16_t>(head, 6);
  tree.entries = load_at<std::uint64_t>(head, 32);
  tree.root = load_at<std::uint64_t>(head, 40);
  return tree;
}

}  // namespace

std::string lmdb_data_file(const std::string& path) { return path + "/data.mdb"; }

bool looks_like_lmdb(const std::string& path) {
  const Descriptor file(open_file(lmdb_data_file(path)));
  std::array<char, kMagic + sizeof kMagicNumber> head{};
  const ssize_t got = ::pread(file.get(), head.data(), head.size(), 0);
  return got == 0 || (got == static_cast<ssize_t>(head.size()) &&
                      load_at<std::uint32_t>(head.data(), kMagic) == kMagicNumber);
}

std::size_t LmdbPage::size() const {
  return (load_at<std::uint16_t>(bytes_.data(), kLower) - kPageHead) / sizeof(std::uint16_t);
}

const unsigned char* LmdbPage::node_at(std::size_t i) const {
  return bytes_.data() +
         load_at<std::uint16_t>(bytes_.data(), kPageHead + i * sizeof(std::uint16_t));
}

LmdbNode LmdbPage::node(std::size_t i) const {
  const unsigned char* head = node_at(i);
  const std::uint64_t low = load_at<std::uint32_t>(head, 0);
  const auto flags = load_at<std::uint16_t>(head, 4), key_bytes = load_at<std::uint16_t>(head, 6);
  const char* data = reinterpret_cast<const char*>(head) + kNodeHead;
  LmdbNode node;
  node.key = {data, key_bytes};
  if (!leaf) {
    node.child = low | std::uint64_t{flags} << 32;
    return node;
  }
  node.flags = flags;
  node.value_bytes = low;
  if ((flags & kBigData) != 0)
    node.overflow = load_at<std::uint64_t>(data, key_bytes);
  else
    node.value = {data + key_bytes, low};
  return node;
}

LmdbFile::LmdbFile(const std::string& path) : path_(path), file_(open_file(lmdb_data_file(path))) {
  struct stat status {};
  require(::fstat(file_.get(), &status) == 0 && S_ISREG(status.st_mode),
          printable(lmdb_data_file(path)), " is not a file");
  file_bytes_ = static_cast<std::uint64_t>(status.st_size);

  heads_ = heads();
  page_bytes_ = load_at<std::uint32_t>(heads_.data(), kTrees);
  const char* metas[] = {heads_.data(), heads_.data() + kMetaBytes};
  for (const char* meta : metas) {
    const auto version = load_at<std::uint32_t>(meta, kVersion);
    require(version == 1, "the database ", printable(path), " has version ", version,
            " of LMDB's format; version 1 is known");
  }
  const std::size_t place = load_at<std::uint64_t>(metas[0], kTransaction) <
                                    load_at<std::uint64_t>(metas[1], kTransaction)
                                ? 1
                                : 0;
  const char* newer = metas[place];
  // liblmdb relies on transactions alternating between the two meta pages.
  if (load_at<std::uint64_t>(newer, kTransaction) % 2 != place)
    report_damage("its head contradicts itself");
  for (int i = 0; i < 2; ++i)
    trees_[i] = read_tree(newer + kTrees + static_cast<std::size_t>(i) * kTreeBytes);

  const auto last = load_at<std::uint64_t>(newer, kLastPage);
  require(last < file_bytes_ / page_bytes_, "the database ", printable(path),
          " is truncated: data.mdb has ", file_bytes_, " bytes and should have ",
          last < file_bytes_ ? str((last + 1) * page_bytes_) : "far more");
  pages_ = last + 1;
  for (const LmdbTree& tree : trees_) {
    const bool empty = tree.root == LmdbTree::kNone;
    if (empty != (tree.entries == 0) || (!empty && (tree.depth < 1 || tree.depth > kMaxDepth)))
      report_damage("its head contradicts itself");
    if (tree.entries > file_bytes_) report_damage(str("it claims ", tree.entries, " records"));
  }
  require((records().flags & kDuplicateKeys) == 0, "the database ", printable(path),
          " was made with MDB_DUPSORT, several values of a key, which Caffe's databases never are");
}

/// Returns both meta pages of the file. The newer one is valid.
std::string LmdbFile::heads() const {
  std::array<char, 2 * kMetaBytes> found{};
  std::uint32_t page_bytes = 0;
  for (const std::size_t meta : {0, 1}) {
    char* head = found.data() + meta * kMetaBytes;
    const std::uint64_t from = meta * std::uint64_t{page_bytes};
    const bool whole = from + kMetaBytes <= file_bytes_;
    if (whole) read(head, kMetaBytes, from);
    const auto size = load_at<std::uint32_t>(head, kTrees);
    const bool plausible = size >= 512 && size <= 65536 && (size & (size - 1)) == 0;
    require(whole && load_at<std::uint32_t>(head, kMagic) == kMagicNumber && plausible &&
                (meta == 0 || size == page_bytes),
            printable(lmdb_data_file(path_)), " is not an LMDB database, or it is damaged");
    page_bytes = size;
  }
  return {found.data(), found.size()};
}

void LmdbFile::require_unchanged() const {
  require(heads() == heads_, "the database ", printable(path_),
          " was changed while it was being read; start again once it is whole");
}

void LmdbFile::reopen() {
  file_ = Descriptor(open_file(lmdb_data_file(path_)));
  try {
    require_unchanged();
  } catch (const Error&) {
    close();
    throw;
  }
}

void LmdbFile::report_damage(const std::string& what) const {
  throw Error(str("the database ", printable(path_), " is damaged: ", what,
                  "; make it again, or copy it again if it was copied"));
}

void LmdbFile::report_cut() const {
  struct stat status {};
  ::fstat(file_.get(), &status);
  throw Error(str(printable(lmdb_data_file(path_)), " was cut to ", status.st_size,
                  " bytes while it was being read; copy or make the database again"));
}

void LmdbFile::read(void* out, std::size_t bytes, std::uint64_t from) const {
  auto* to = static_cast<char*>(out);
  while (bytes > 0) {
    const ssize_t got = ::pread(file_.get(), to, bytes, static_cast<off_t>(from));
    if (got < 0 && errno == EINTR) continue;
    require(got >= 0, "cannot read ", printable(lmdb_data_file(path_)), ": ", std::strerror(errno));
    if (got == 0) report_cut();
    to += got;
    from += static_cast<std::uint64_t>(got);
    bytes -= static_cast<std::size_t>(got);
  }
}

LmdbPage LmdbFile::page(const LmdbTree& tree, std::uint64_t number, int level) const {
  const auto damage = [&](const char* what) { report_damage(str("page ", number, " ", what)); };
  if (number < 2 || number >= pages_) damage("does not exist");
  LmdbPage page;
  page.number = number;
  page.bytes_.resize(page_bytes_);
  unsigned char* bytes = page.bytes_.data();
  read(bytes, page_bytes_, number * page_bytes_);
  page.leaf = level == tree.depth - 1;
  if (load_at<std::uint64_t>(bytes, 0) != number) damage("has another number");
  if ((load_at<std::uint16_t>(bytes, kPageFlags) & kKinds) != (page.leaf ? kLeaf : kBranch))
    damage("is not of the kind that belongs there");
  const std::size_t lower = load_at<std::uint16_t>(bytes, kLower);
  const std::size_t upper = load_at<std::uint16_t>(bytes, kUpper);
  if (lower < kPageHead || lower % 2 != 0 || lower > upper || upper > page_bytes_)
    damage("has a bad head");
  // liblmdb relies on at least two children, except in the free-page tree.
  if (page.size() < (page.leaf || &tree == &trees_[0] ? 1 : 2)) damage("has too few nodes");

  std::size_t used = 0;  // bytes of nodes, which liblmdb rounds up to even sizes
  for (std::size_t i = 0; i < page.size(); ++i) {
    const auto offset = static_cast<std::size_t>(page.node_at(i) - bytes);
    if (offset < upper || offset + kNodeHead > page_bytes_) damage("has a node outside of itself");
    const auto flags = load_at<std::uint16_t>(bytes, offset + 4);
    const std::size_t key_bytes = load_at<std::uint16_t>(bytes, offset + 6);
    const std::size_t value_bytes = !page.leaf ? 0
                                    : (flags & kBigData) != 0
                                        ? sizeof(std::uint64_t)
                                        : load_at<std::uint32_t>(bytes, offset);
    const std::size_t size = kNodeHead + key_bytes + value_bytes;
    if (offset + size > page_bytes_) damage("has a node outside of itself");
    if (key_bytes > DatabaseWriter::kMaxKey || (key_bytes == 0 && page.leaf))
      damage("has a key of an impossible length");
    used += size + size % 2;
  }
  if (used > page_bytes_ - upper) damage("has nodes that overlap");
  if (page.leaf) require_plain_records(page);
  return page;
}

void LmdbFile::require_plain_records(const LmdbPage& leaf) const {
  std::string names;
  for (std::size_t i = 0; i < leaf.size(); ++i)
    if (const LmdbNode node = leaf.node(i); (node.flags & (kSubData | kDuplicates)) != 0)
      names += (names.empty() ? "" : ", ") + printable(node.key, 40);
  require(names.empty(), "the database ", printable(path_), " has named databases (",
          printable(names),
          "); only the unnamed one is read: copy the one that you want into a folder of its own "
          "(mdb_dump -s NAME, mdb_load)");
}

std::uint64_t LmdbFile::overflow_pages(const LmdbNode& node) const {
  std::array<char, kPageHead> head{};
  if (node.overflow < 2 || node.overflow >= pages_)
    report_damage(str("page ", node.overflow, " does not exist"));
  read(head.data(), head.size(), node.overflow * page_bytes_);
  const std::uint64_t count = load_at<std::uint32_t>(head.data(), kRunLength);
  const bool right = load_at<std::uint64_t>(head.data(), 0) == node.overflow &&
                     (load_at<std::uint16_t>(head.data(), kPageFlags) & kKinds) == kOverflow &&
                     count <= pages_ - node.overflow &&
                     kPageHead + node.value_bytes <= count * page_bytes_;
  if (!right)
    report_damage(
        str("page ", node.overflow, " does not hold a value of ", node.value_bytes, " bytes"));
  return count;
}

void LmdbFile::read_value(const LmdbNode& node, char* to) const {
  if (node.overflow != 0)
    read(to, node.value_bytes, node.overflow * page_bytes_ + kPageHead);
  else
    std::copy(node.value.begin(), node.value.end(), to);
}

Record LmdbFile::record(const LmdbPage& leaf, std::size_t i) const {
  const LmdbNode node = leaf.node(i);
  if (node.overflow != 0) overflow_pages(node);
  const auto owner = std::make_shared_for_overwrite<char[]>(node.key.size() + node.value_bytes);
  char* const value = std::copy(node.key.begin(), node.key.end(), owner.get());
  read_value(node, value);
  return {{owner.get(), node.key.size()}, {value, node.value_bytes}, owner, path_};
}

}  // namespace doppio
