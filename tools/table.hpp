#pragma once
#include <string>
#include <vector>

namespace doppio {

/// Columns of text, each as wide as its widest entry.
class Table {
 public:
  explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  /// `row` has as many entries as the head.
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  /// The columns from number `first` on are numbers and end at the right.
  void numbers_from(std::size_t first) { first_number_ = first; }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::size_t first_number_ = static_cast<std::size_t>(-1);
};

}  // namespace doppio
