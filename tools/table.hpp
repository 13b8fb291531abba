#pragma once
#include <string>
#include <vector>

namespace doppio {

/// A text table whose columns are as wide as their widest entries.
class Table {
 public:
  explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  /// Adds a row with as many entries as the head.
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  /// Right-aligns the columns from index `first` on.
  void numbers_from(std::size_t first) { first_number_ = first; }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::size_t first_number_ = static_cast<std::size_t>(-1);
};

}  // namespace doppio
