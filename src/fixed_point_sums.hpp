// Sums that don't depend on the order of their terms: what makes results the same bits at any number of
// ranks.
//
// Floating-point addition is not associative, so MPI_SUM over doubles gives other bits at other rank counts.
// Integer addition is. Both sums here round each term once, to a quantum fixed beforehand, and then only add
// integers: over tiles, threads, ranks and resumed runs alike, in any order, by any allreduce algorithm.
#pragma once

#include <cstdint>
#include <vector>

#include "types.hpp"

namespace kronattn {

/// Many sums with one known bound: two 64-bit words each, quantum 2^-80 of the bound.
///
/// A term x is split as x = high * 2^(L-50) + low * 2^(L-80) + rest, where 2^L >= bound. The high words stay
/// below 2^50 in sum, the low ones grow by at most 2^29 a term, so 2^33 terms fit.
class FixedPointSums {
 public:
  /// Adding this rounds a double below 2^51 to an integer and leaves that integer in the low bits.
  static constexpr double round_to_integer = 0x1.8p52;
  static constexpr double low_per_high = 0x1p30;

  FixedPointSums() = default;

  /// `size` sums, each with sum |terms| <= bound, bound > 0 and finite.
  FixedPointSums(Index size, double bound);

  Index size() const { return static_cast<Index>(words_.size()) / 2; }

  /// Adds terms[0..count) to the sums first..first+count. Not safe from two threads on the same sums.
  void add(Index first, const double* terms, Index count);

  /// What a term is multiplied with to be in units of its high word, a power of two.
  double to_high() const { return to_high_; }

  /// Adds `count` sums of `terms` terms each: the bit patterns of the terms' rounded words (add_products in
  /// feature_kernels.cpp), added up.
  void merge(Index first, const std::uint64_t* high, const std::uint64_t* low, Index count,
             std::int64_t terms);

  /// Makes room for more sums behind those that are there (a degree added).
  void grow(Index size);

  /// All integers, high and low side by side: equal-length sums merge by adding words elementwise.
  std::vector<std::int64_t>& words() { return words_; }
  const std::vector<std::int64_t>& words() const { return words_; }

  /// Sum `index`; correct up to 2 roundings while fewer than 2^24 terms went in, else 3.
  double operator[](Index index) const;

  /// What `terms` terms lost to the quantum, at most, relatively to the bound.
  static double quantisation(double terms) { return terms * 0x1p-80; }

 private:
  double to_high_ = 1, from_high_ = 1;  // powers of two
  std::vector<std::int64_t> words_;
};

/// A few sums of any doubles (or of short sums of them), exact: each is a long integer over the whole range
/// of double, in digits of 32 bits. For sums whose bound is not known beforehand. At most 2^30 terms each.
class ExactSums {
 public:
  ExactSums() = default;
  explicit ExactSums(Index size) : digits_(static_cast<std::size_t>(size * digits_each), 0) {}

  Index size() const { return static_cast<Index>(digits_.size()) / digits_each; }

  /// Adds a term that is 0 or has 2^-1074 <= |term| < 2^1040.
  void add(Index index, long double term);

  /// All digits: equal-length sums merge by adding digits elementwise.
  std::vector<std::int64_t>& digits() { return digits_; }
  const std::vector<std::int64_t>& digits() const { return digits_; }

  /// Adds another one's sums, of equal number.
  void merge(const ExactSums& other);

  /// Sum `index` over a positive count, correct up to 2 roundings; long double because a sum may exceed
  /// double.
  long double mean(Index index, double count) const;

 private:
  static constexpr Index digits_each = 72;  // 2^-1152 ... 2^1151
  std::vector<std::int64_t> digits_;
};

}  // namespace kronattn
