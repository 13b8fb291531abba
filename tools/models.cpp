// `doppio models`: lists the nets that come with Doppio.
#include <filesystem>
#include <iostream>
#include <map>

#include "io/input_file.hpp"
#include "tools/command.hpp"
#include "tools/model_folder.hpp"
#include "tools/table.hpp"

namespace doppio {

namespace {

/// Returns the rows "| key | value |" of the first table in a README.
std::map<std::string, std::string> facts(const std::string& readme) {
  std::map<std::string, std::string> found;
  for (const TextLine& line : read_lines(readme)) {
    const std::string& text = line.text;
    if (!text.starts_with("| ") || !text.ends_with(" |")) {
      if (!found.empty()) break;
      continue;
    }
    const std::size_t middle = text.find(" | ");
    if (middle == text.npos || middle < 2) continue;
    found[text.substr(2, middle - 2)] = text.substr(middle + 3, text.size() - middle - 5);
  }
  return found;
}

int run(const Arguments&) {
  const std::vector<std::string> columns = {"input",         "classes", "parameters",
                                            "multiply-adds", "memory",  "accuracy"};
  std::vector<std::string> head = {"net"};
  head.insert(head.end(), columns.begin(), columns.end());
  Table table(head);
  for (const std::string& name : model_names()) {
    const std::filesystem::path readme =
        std::filesystem::path(models_folder()) / name / "README.md";
    const std::map<std::string, std::string> known = facts(readme.string());
    std::vector<std::string> row = {name};
    for (const std::string& column : columns)
      row.push_back(known.contains(column) ? known.at(column) : "?");
    table.add(row);
  }
  std::cout << table.text() << "The nets are in " << models_folder()
            << "; `doppio new --like=NET` makes one for your own pictures.\n";
  return kDone;
}

}  // namespace

Command models_command() {
  return {.name = "models",
          .summary = "list the nets that come with Doppio, with size, memory and accuracy",
          .operands = "",
          .flags = {},
          .example = "doppio models",
          .run = run};
}

}  // namespace doppio
