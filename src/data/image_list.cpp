#include "data/image_list.hpp"

#include <cctype>
#include <charconv>
#include <fstream>

#include "doppio/error.hpp"

namespace doppio {

namespace {

ImageEntry parse_line(const std::string& line, const Location& where) {
  const std::size_t blank = line.find_last_of(" \t");
  if (blank == std::string::npos || line.find_first_not_of(" \t") > blank)
    throw Error("no label; a line is \"path label\"", where);
  ImageEntry entry{line.substr(0, line.find_last_not_of(" \t", blank) + 1)};
  const char* const first = line.data() + blank + 1;
  const char* const last = line.data() + line.size();
  const auto [end, status] = std::from_chars(first, last, entry.label);
  if (status != std::errc() || end != last)
    throw Error(str("label '", line.substr(blank + 1), "' is not an integer"), where);
  return entry;
}

}  // namespace

std::vector<ImageEntry> read_image_list(const std::string& list) {
  constexpr int kManyProblems = 20;
  std::ifstream in(list);
  require(in.good(), "cannot read the list ", list);
  std::vector<ImageEntry> entries;
  Problems problems;
  int line_number = 0, problem_count = 0;
  for (std::string line; std::getline(in, line) && problem_count < kManyProblems;) {
    ++line_number;
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) line.pop_back();
    if (line.empty()) continue;
    try {
      entries.push_back(parse_line(line, {list, line_number}));
    } catch (const Error& e) {
      problems.add(e);
      ++problem_count;
    }
  }
  problems.throw_if_any();
  require(!entries.empty(), "the list ", list, " is empty");
  return entries;
}

}  // namespace doppio
