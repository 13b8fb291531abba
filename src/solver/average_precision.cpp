#include "solver/average_precision.hpp"

#include <algorithm>

namespace doppio {

namespace {

constexpr Index kRow = 5;

struct Point {
  double recall, precision;
};

/// Returns the area under the curve, where precision is constant since the previous point.
double integral(const std::vector<Point>& curve) {
  double area = 0, before = 0;
  for (const Point& p : curve) {
    area += p.precision * (p.recall - before);
    before = p.recall;
  }
  return area;
}

/// Raises each precision to the largest one at the same or higher recall.
void raise(std::vector<Point>& curve) {
  double most = 0;
  for (auto p = curve.rbegin(); p != curve.rend(); ++p)
    p->precision = most = std::max(most, p->precision);
}

double mean_of_11(const std::vector<Point>& raised) {
  double sum = 0;
  for (int i = 0; i <= 10; ++i) {
    constexpr double kRounding = 1e-6;
    const auto reaches = [i](const Point& p) { return p.recall > i / 10.0 - kRounding; };
    const auto at = std::find_if(raised.begin(), raised.end(), reaches);
    if (at != raised.end()) sum += at->precision;
  }
  return sum / 11;
}

double average_precision(std::vector<Point> curve, const std::string& version) {
  if (version == "Integral") return integral(curve);
  raise(curve);
  return version == "MaxIntegral" ? integral(curve) : mean_of_11(curve);
}

}  // namespace

void DetectionScores::add(const Tensor& rows) {
  const float* row = rows.read_host();
  for (Index r = 0; r < rows.count() / kRow; ++r, row += kRow) {
    Class& c = classes_[static_cast<int>(row[1])];
    if (row[0] == -1)
      c.objects += row[2];
    else if (row[3] != 0 || row[4] != 0)
      c.detections.push_back({row[2], row[3] != 0});
  }
}

std::map<int, float> DetectionScores::average_precisions(const std::string& version) const {
  std::map<int, float> result;
  for (const auto& [label, c] : classes_) {
    std::vector<Detection> detections = c.detections;
    std::stable_sort(detections.begin(), detections.end(),
                     [](const Detection& a, const Detection& b) { return a.score > b.score; });
    std::vector<Point> curve;
    double right = 0;
    for (const Detection& d : detections) {
      right += d.right;
      curve.push_back(
          {right / std::max(1.0, c.objects), right / static_cast<double>(curve.size() + 1)});
    }
    result[label] =
        c.objects > 0 ? static_cast<float>(average_precision(std::move(curve), version)) : 0;
  }
  return result;
}

}  // namespace doppio
