#include "net/debug_info.hpp"

#include <glog/logging.h>

#include <cmath>

namespace doppio {

namespace {

double sum(const Tensor& t, bool squares) {
  const float* v = t.read_host();
  double total = 0;
  for (Index i = 0; i < t.count(); ++i)
    total += squares ? double{v[i]} * v[i] : std::abs(double{v[i]});
  return total;
}

double mean_abs(const Tensor& t) {
  return t.count() == 0 ? 0 : sum(t, false) / static_cast<double>(t.count());
}

}  // namespace

void log_forward(const NetLayer& layer) {
  for (std::size_t t = 0; t < layer.tops.size(); ++t)
    LOG(INFO) << "    [Forward] Layer " << layer.name << ", top blob " << layer.top_names[t]
              << " data: " << mean_abs(layer.tops[t]->data);
  for (std::size_t j = 0; j < layer.layer->params.size(); ++j)
    LOG(INFO) << "    [Forward] Layer " << layer.name << ", param blob " << j
              << " data: " << mean_abs(layer.layer->params[j].data);
}

void log_backward(const NetLayer& layer) {
  for (std::size_t b = 0; b < layer.bottoms.size(); ++b)
    if (layer.wanted[b])
      LOG(INFO) << "    [Backward] Layer " << layer.name << ", bottom blob "
                << layer.bottom_names[b] << " diff: " << mean_abs(layer.bottoms[b]->grad);
  for (std::size_t j = 0; j < layer.layer->params.size(); ++j)
    if (layer.layer->params[j].needs_grad)
      LOG(INFO) << "    [Backward] Layer " << layer.name << ", param blob " << j
                << " diff: " << mean_abs(layer.layer->params[j].grad);
}

void log_totals(const std::vector<Parameter>& parameters) {
  double data1 = 0, data2 = 0, grad1 = 0, grad2 = 0;
  for (const Parameter& p : parameters) {
    data1 += sum(p.blob->data, false);
    data2 += sum(p.blob->data, true);
    grad1 += sum(p.blob->grad, false);
    grad2 += sum(p.blob->grad, true);
  }
  LOG(INFO) << "    [Backward] All net params (data, diff): L1 norm = (" << data1 << ", " << grad1
            << "); L2 norm = (" << std::sqrt(data2) << ", " << std::sqrt(grad2) << ")";
}

}  // namespace doppio
