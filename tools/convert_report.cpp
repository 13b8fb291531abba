#include "tools/convert_report.hpp"

#include <glog/logging.h>

#include <algorithm>

#include "doppio/error.hpp"

namespace doppio {

namespace {

constexpr Index kShown = 20;  // labels in a list

/// Collects the first kShown of several entries, and counts the others.
class Listing {
 public:
  void add(const std::string& entry) {
    if (++count_ > kShown) return;
    text_ += str(text_.empty() ? "" : ", ", entry);
  }
  Index count() const { return count_; }
  std::string text() const {
    return count_ <= kShown ? text_ : str(text_, " and ", count_ - kShown, " more");
  }

 private:
  std::string text_;
  Index count_ = 0;
};

std::string size_text(const ImageSize& size) { return str(size.height, " x ", size.width); }

std::string bytes_text(Index bytes) {
  if (bytes < 1'000'000) return str(bytes, " bytes");
  return str(static_cast<double>(bytes) / 1e6, " MB");
}

std::string negative_labels(const StoredImages& stored) {
  Listing labels;
  Index images = 0;
  for (const auto& [label, count] : stored.labels) {
    if (label >= 0) break;
    labels.add(str(label));
    images += count;
  }
  if (images == 0) return {};
  return str(images, images == 1 ? " image has a" : " images have a", " negative label (",
             labels.text(), "); a classifier needs labels from 0");
}

/// Names the labels from 0 to the largest that no image has.
std::string missing_labels(const StoredImages& stored) {
  if (stored.labels.empty()) return {};
  Listing missing;
  Index next = 0;  // label that is expected next
  for (const auto& [label, count] : stored.labels) {
    if (label < 0) continue;
    if (label - next > 1) missing.add(str(next, " to ", label - 1));
    if (label - next == 1) missing.add(str(next));
    next = Index{label} + 1;
  }
  if (missing.count() == 0) return {};
  return str("no image has label ", missing.text(), ", and the largest label is ",
             stored.labels.rbegin()->first, "; a classifier has a class for each label from 0");
}

}  // namespace

std::vector<std::string> conversion_report(const StoredImages& stored, double seconds,
                                           Index resumed) {
  if (stored.count == 0) return {};
  std::vector<std::string> lines;
  if (resumed > 0)
    lines.push_back(str("Figures of this run, which resumed after image ", resumed, ":"));
  Listing labels;
  for (const auto& [label, count] : stored.labels) labels.add(str(label, " (", count, ")"));
  lines.push_back("Images by label: " + labels.text());
  const bool one_size = stored.smallest == stored.largest;
  lines.push_back(one_size ? "Image size (height x width): " + size_text(stored.smallest)
                           : "Image sizes (height x width): " + size_text(stored.smallest) +
                                 " to " + size_text(stored.largest));
  seconds = std::max(seconds, 1e-6);
  lines.push_back(str("Stored ", stored.count, stored.count == 1 ? " image, " : " images, ",
                      bytes_text(stored.bytes), " of records, in ", static_cast<float>(seconds),
                      " s: ", static_cast<float>(static_cast<double>(stored.count) / seconds),
                      " images/s"));
  return lines;
}

std::vector<std::string> label_warnings(const StoredImages& stored, Index resumed) {
  std::vector<std::string> warnings;
  if (std::string text = negative_labels(stored); !text.empty()) warnings.push_back(text);
  if (resumed > 0) return warnings;
  if (std::string text = missing_labels(stored); !text.empty()) warnings.push_back(text);
  return warnings;
}

void log_conversion(const StoredImages& stored, double seconds, Index resumed) {
  for (const std::string& line : conversion_report(stored, seconds, resumed)) LOG(INFO) << line;
  for (const std::string& warning : label_warnings(stored, resumed)) LOG(WARNING) << warning;
}

}  // namespace doppio
