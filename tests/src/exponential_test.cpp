#include "exponential.hpp"

#include <gtest/gtest.h>

#include "problems.hpp"

namespace kronattn {
namespace {

TEST(Exponential, IsWithinItsDocumentedError) {
  double worst = 0;
  const auto check = [&](double argument) {
    volatile double stored =
        argument;  // or the compiler may fuse the argument's own last product into exp's first step
    const double x = stored;
    const long double exact = std::exp(static_cast<long double>(x));
    worst = std::max(worst, static_cast<double>(std::abs(exponential(x) - exact) / exact / unit_roundoff));
  };
  testing::Uniform wide(1, -708, 0), narrow(2, -2, 0), tiny(3, -1e-8, 0);
  for (int t = 0; t < 300000; ++t) check(wide()), check(narrow()), check(tiny());
  for (int m = 0; m < 1021; ++m)  // the seams, where r is largest
    for (double offset : {-1e-9, 0.0, 1e-9}) check(-(m + 0.5) * std::log(2.0) + offset);
  EXPECT_LE(worst, exponential_roundings);
  RecordProperty("worst_in_units_of_roundoff", std::to_string(worst));
  std::printf("exponential: worst error %.3f u, documented %.1f u\n", worst, exponential_roundings);
}

TEST(Exponential, OfNothingIsOneAndFarBelowIsNothingThatCounts) {
  EXPECT_EQ(exponential(0.0), 1.0);
  EXPECT_GT(exponential(-708.0), 0.0);
  EXPECT_LT(exponential(-1e300), 1e-300);
  EXPECT_LT(exponential(-HUGE_VAL), 1e-300);
}

}  // namespace
}  // namespace kronattn
