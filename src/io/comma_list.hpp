#pragma once
#include <sstream>
#include <string>
#include <vector>

namespace doppio {

/// Splits "a, b,c" into items without surrounding blanks. Returns none for an empty text.
inline std::vector<std::string> comma_list(const std::string& text) {
  std::vector<std::string> items;
  std::istringstream in(text);
  for (std::string item; std::getline(in >> std::ws, item, ',');) {
    item.erase(item.find_last_not_of(' ') + 1);
    items.push_back(item);
  }
  return items;
}

}  // namespace doppio
