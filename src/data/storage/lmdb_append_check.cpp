#include "data/storage/lmdb_append_check.hpp"

#include <string>
#include <vector>

#include "doppio/error.hpp"

namespace doppio {

namespace {

/// Tracks which pages are in use, to reject pages that are used twice.
class TakenPages {
 public:
  explicit TakenPages(const LmdbFile& file)
      : file_(file), taken_(static_cast<std::size_t>(file.pages()), false) {
    take(0, 2);  // the meta pages
  }

  void take(std::uint64_t first, std::uint64_t count) {
    if (first >= taken_.size() || count > taken_.size() - first)
      file_.report_damage(str("page ", first, " does not exist"));
    for (std::uint64_t page = first; page < first + count; ++page) {
      if (taken_[page]) file_.report_damage(str("page ", page, " is used twice"));
      taken_[page] = true;
    }
  }

 private:
  const LmdbFile& file_;
  std::vector<bool> taken_;
};

/// Calls `visit(node)` for all records of a tree in order, and counts them.
template <class Visit>
void walk_tree(const LmdbFile& file, const LmdbTree& tree, TakenPages& taken, Visit visit) {
  LmdbWalk walk(file, tree);
  walk.on_page = [&](const LmdbPage& page) { taken.take(page.number, 1); };
  std::uint64_t count = 0;
  for (bool more = walk.first(); more; more = walk.next())
    for (std::size_t i = 0; i < walk.leaf().size(); ++i, ++count) {
      const LmdbNode node = walk.leaf().node(i);
      if (node.overflow != 0) taken.take(node.overflow, file.overflow_pages(node));
      visit(node);
    }
  if (count != tree.entries)
    file.report_damage(str("it holds ", count, " records and claims ", tree.entries));
}

/// Marks the pages listed in a record of the free-page tree.
void take_listed(const LmdbFile& file, const LmdbNode& node, TakenPages& taken) {
  std::string list(node.value_bytes, '\0');
  file.read_value(node, list.data());
  const std::uint64_t room = list.size() / sizeof(std::uint64_t);
  const std::uint64_t count = room > 0 ? load_at<std::uint64_t>(list.data(), 0) : 0;
  if (node.key.size() != sizeof(std::uint64_t) || room == 0 || count > room - 1)
    file.report_damage("its list of free pages is wrong");
  std::uint64_t before = ~std::uint64_t{0};
  for (std::uint64_t i = 1; i <= count; ++i) {  // in descending order
    const auto page = load_at<std::uint64_t>(list.data(), i * sizeof(std::uint64_t));
    if (page >= before) file.report_damage("its list of free pages is out of order");
    taken.take(page, 1);
    before = page;
  }
}

}  // namespace

void check_lmdb_pages(const LmdbFile& file) {
  if (file.records().flags != 0)
    throw Error(
        "the database's keys are in an order that only the program that made it knows; "
        "records cannot be added to it");
  constexpr std::uint16_t kIntegerKeys = 0x08, kKeyOrders = 0x7E;
  if ((file.free_pages().flags & kKeyOrders) != kIntegerKeys)
    file.report_damage("its list of free pages is wrong");
  TakenPages taken(file);
  std::uint64_t transaction = 0;
  walk_tree(file, file.free_pages(), taken, [&](const LmdbNode& node) {
    take_listed(file, node, taken);
    const auto number = load_at<std::uint64_t>(node.key.data(), 0);
    if (number <= transaction) file.report_damage("its list of free pages is out of order");
    transaction = number;
  });
  std::string before;
  walk_tree(file, file.records(), taken, [&](const LmdbNode& node) {
    if (node.key <= before) file.report_damage("its keys are out of order");
    before = node.key;
  });
}

}  // namespace doppio
