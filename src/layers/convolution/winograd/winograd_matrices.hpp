#pragma once
// Matrices of the Cook-Toom algorithm, computed at compile time. No std headers: the kernels that
// include this are compiled for one instruction set each.

namespace doppio {

/// The matrices of F(M, R): M outputs of a filter of R taps out of M + R - 1 inputs with as many
/// multiplications, y = output^T [(filter g) * (data d)], y_k = sum over j of g_j d_(k+j).
///
/// Row i belongs to point i: 0, then pairs of opposite ones, and infinity in the last row. Rows of
/// opposite points are equal in even columns and opposite in odd ones: the kernels rely on that.
/// Two axes nest: Y = output^T [(filter g filter^T) * (data d data^T)] output.
/// Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015.
template <int M, int R>
struct CookToom {
  static constexpr int kPoints = M + R - 1;
  float data[kPoints][kPoints];  // coefficients of the Lagrange polynomials, not yet normalised
  float filter[kPoints][R];      // powers of the points, normalised
  float output[kPoints][M];      // powers of the points
  float total[kPoints];          // total^T output y is the sum of y
};

/// The point of each row but the last. Those for six rows have a third of the rounding error of 1,
/// -1, 2 and -2, which matters for bfloat16.
template <int kRows>
struct CookToomPoints {
  static constexpr double kValue[] = {0, 1, -1, 2, -2, 0.5, -0.5};
};
template <>
struct CookToomPoints<6> {
  static constexpr double kValue[] = {0, 0.75, -0.75, 1.5, -1.5};
};

template <int M, int R>
consteval CookToom<M, R> cook_toom() {
  constexpr int kPoints = M + R - 1, kFinite = kPoints - 1;
  constexpr auto& kPoint = CookToomPoints<kPoints>::kValue;
  static_assert(kPoints % 2 == 0 && kFinite <= 7, "opposite points come in pairs");
  CookToom<M, R> c{};
  for (int i = 0; i < kPoints; ++i) {
    // The product of (x - point) over the other finite points, lowest power first.
    double polynomial[kPoints] = {1};
    double norm = 1;
    for (int j = 0; j < kFinite; ++j) {
      if (j == i) continue;
      for (int k = kPoints - 1; k > 0; --k)
        polynomial[k] = polynomial[k - 1] - kPoint[j] * polynomial[k];
      polynomial[0] *= -kPoint[j];
      if (i < kFinite) norm *= kPoint[i] - kPoint[j];
    }
    for (int k = 0; k < kPoints; ++k) c.data[i][k] = static_cast<float>(polynomial[k]);
    if (i == kFinite) {
      c.filter[i][R - 1] = c.output[i][M - 1] = 1;
      continue;
    }
    double power = 1;
    for (int k = 0; k < kPoints; ++k, power *= kPoint[i]) {
      if (k < R) c.filter[i][k] = static_cast<float>(power / norm);
      if (k < M) c.output[i][k] = static_cast<float>(power);
    }
  }
  // y's polynomial of degree M - 1 is determined by its values at the first M - 1 points and
  // infinity, where it is the highest coefficient; its value at 1 is the sum of y.
  double remainder = 1;  // of the product of (x - point), at 1
  for (int i = 0; i < M - 1; ++i) {
    remainder *= 1 - kPoint[i];
    double value = 1;
    for (int j = 0; j < M - 1; ++j)
      if (j != i) value *= (1 - kPoint[j]) / (kPoint[i] - kPoint[j]);
    c.total[i] = static_cast<float>(value);
  }
  c.total[kFinite] = static_cast<float>(remainder);
  return c;
}

}  // namespace doppio
