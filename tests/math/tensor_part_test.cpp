#include "math/tensor_part.hpp"

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

Tensor tensor(const Shape& shape, const std::vector<float>& v) {
  Tensor t;
  t.reshape(shape);
  set_values(t, v);
  return t;
}

TEST(TensorPart, IsRowsAlongTheAxisThatDiffers) {
  const Tensor whole = tensor({4, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  Tensor rows = tensor({2, 2}, {0, 0, 0, 0}), columns = tensor({4, 1}, {0, 0, 0, 0});
  copy_part(whole, {1, 2}, rows);
  copy_part(whole, {1, 2}, columns);
  EXPECT_EQ(values(rows), (std::vector<float>{5, 6, 7, 8}));
  EXPECT_EQ(values(columns), (std::vector<float>{2, 4, 6, 8}));
}

TEST(TensorPart, InsertionKeepsTheOtherParts) {
  Tensor whole = tensor({3, 2}, {1, 2, 3, 4, 5, 6});
  insert_part(tensor({1, 2}, {30, 40}), {1, 3}, whole);
  EXPECT_EQ(values(whole), (std::vector<float>{1, 2, 30, 40, 5, 6}));
  insert_part(tensor({3, 1}, {7, 8, 9}), {0, 2}, whole);
  EXPECT_EQ(values(whole), (std::vector<float>{7, 2, 8, 40, 9, 6}));
}

TEST(TensorPart, OfTheShapeOfTheWholeIsACopy) {
  const Tensor whole = tensor({2}, {1, 2});
  Tensor copy = tensor({2}, {0, 0});
  copy_part(whole, {1, 2}, copy);
  EXPECT_EQ(values(copy), (std::vector<float>{1, 2}));
}

}  // namespace
}  // namespace doppio
