#include "tools/predictions.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "doppio/error.hpp"

namespace doppio {

namespace {

class TextPredictions final : public Predictions {
 public:
  using Predictions::Predictions;

 private:
  void write(const ImageFile& image, const std::vector<Class>& best) override {
    std::printf("---------- Prediction for %s ----------\n", image.path.c_str());
    for (const Class& c : best) std::printf("%.4f - \"%s\"\n", c.score, c.name.c_str());
  }
};

/// Returns a field of a CSV file, in quotes if it needs them.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

class CsvPredictions final : public Predictions {
 public:
  using Predictions::Predictions;

 private:
  void begin() override { std::puts("image,rank,class,name,score"); }
  void write(const ImageFile& image, const std::vector<Class>& best) override {
    int rank = 0;
    for (const Class& c : best)
      std::printf("%s,%d,%zu,%s,%.9g\n", csv_field(image.path).c_str(), ++rank, c.number,
                  csv_field(c.name).c_str(), c.score);
  }
};

class JsonPredictions final : public Predictions {
 public:
  using Predictions::Predictions;

 private:
  void begin() override { std::fputs("[", stdout); }
  void write(const ImageFile& image, const std::vector<Class>& best) override {
    nlohmann::ordered_json record = {{"image", image.path},
                                     {"classes", nlohmann::ordered_json::array()}};
    for (const Class& c : best)
      record["classes"].push_back({{"class", c.number}, {"name", c.name}, {"score", c.score}});
    // File names may hold any bytes; those that are not UTF-8 become U+FFFD.
    const std::string text =
        record.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    std::printf("%s\n%s", std::exchange(separator_, ","), text.c_str());
  }
  void end() override { std::puts("\n]"); }

  const char* separator_ = "";
};

}  // namespace

void Predictions::print(const ImageFile& image, const std::vector<double>& scores) {
  if (!std::exchange(begun_, true)) begin();
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::size_t shown = std::min(top_, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(),
                    [&](std::size_t a, std::size_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  });
  std::vector<Class> best;
  for (std::size_t i = 0; i < shown; ++i) {
    const std::size_t c = order[i];
    best.push_back({c, labels_.empty() ? std::to_string(c) : labels_[c], scores[c]});
  }
  write(image, best);
  ++printed_;
  if (!image.label) return;
  ++labelled_;
  right_ += *image.label >= 0 && static_cast<std::size_t>(*image.label) == best[0].number;
}

void Predictions::finish() {
  if (!std::exchange(begun_, true)) begin();
  end();
  LOG_IF(INFO, labelled_ > 0) << "Accuracy "
                              << 100.0 * static_cast<double>(right_) /
                                     static_cast<double>(labelled_)
                              << " % of " << labelled_ << " images with a label";
}

std::unique_ptr<Predictions> make_predictions(const std::string& format, int top,
                                              const std::vector<std::string>& labels) {
  if (format == "text") return std::make_unique<TextPredictions>(top, labels);
  if (format == "csv") return std::make_unique<CsvPredictions>(top, labels);
  if (format == "json") return std::make_unique<JsonPredictions>(top, labels);
  throw UsageError("--format=" + format + ": expected text, csv or json");
}

}  // namespace doppio
