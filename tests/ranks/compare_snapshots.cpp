// compare_snapshots A B: prints the largest difference between the parameters of two .caffemodel
// files, the largest relative to the largest value of its blob, and whether all fields but the
// values are equal.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>

#include "doppio.pb.h"

namespace {

doppio::NetParameter read(const char* file) {
  doppio::NetParameter net;
  std::ifstream in(file, std::ios::binary);
  if (!net.ParseFromIstream(&in)) {
    std::fprintf(stderr, "%s cannot be read\n", file);
    std::exit(1);
  }
  net.DiscardUnknownFields();  // the checksum
  return net;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  doppio::NetParameter a = read(argv[1]), b = read(argv[2]);
  double largest = 0, relative = 0;
  bool alike = a.layer_size() == b.layer_size();
  for (int i = 0; alike && i < a.layer_size(); ++i) {
    alike = a.layer(i).blobs_size() == b.layer(i).blobs_size();
    for (int k = 0; alike && k < a.layer(i).blobs_size(); ++k) {
      doppio::BlobProto &x = *a.mutable_layer(i)->mutable_blobs(k),
                        &y = *b.mutable_layer(i)->mutable_blobs(k);
      alike = x.data_size() == y.data_size();
      double difference = 0, most = 0;
      for (int v = 0; alike && v < x.data_size(); ++v) {
        difference = std::max(difference, std::abs(double{x.data(v)} - double{y.data(v)}));
        most = std::max(most, std::abs(double{x.data(v)}));
      }
      largest = std::max(largest, difference);
      if (most > 0) relative = std::max(relative, difference / most);
      x.clear_data();
      y.clear_data();
    }
  }
  alike = alike && a.SerializeAsString() == b.SerializeAsString();
  std::printf("%.3g %.3g %s\n", largest, relative, alike ? "alike" : "different");
}
