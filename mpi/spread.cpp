#include "spread.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "h5.hpp"
#include "tiles.hpp"

namespace kronattn {

namespace {

constexpr Index block_rows = 1 << 16;
constexpr int digit_bits = 16, all_bits = 64;

/// Integers in the order of the numbers; -0 and 0 are one, all that are not numbers are the last.
std::uint64_t ordered(double value) {
  if (std::isnan(value)) return std::numeric_limits<std::uint64_t>::max();
  const auto bits = std::bit_cast<std::uint64_t>(value + 0.0);
  const std::uint64_t sign = std::uint64_t{1} << (all_bits - 1);
  return (bits & sign) != 0 ? ~bits : bits | sign;
}

double number_of(std::uint64_t integer) {
  const std::uint64_t sign = std::uint64_t{1} << (all_bits - 1);
  return std::bit_cast<double>((integer & sign) != 0 ? integer & ~sign : ~integer);
}

/// A column of a file, this rank's share.
class Column {
 public:
  Column(const Communicator& comm, const std::string& path, const std::string& name)
      : comm_(comm), path_(path), name_(name), file_(h5::open_file(path, h5::Access::read, comm)) {
    comm.together([&] {
      dataset_ = h5::open_dataset(file_, name);
      shape_ = h5::dataset_info(dataset_).shape;
      if (shape_.empty() || shape_.size() > 2)
        throw std::runtime_error(path + ": " + name + " is not rows, or heads x rows");
    });
  }

  Index count() const { return heads() * shape_.back(); }

  /// Collective in its failures. `visit(value)` for all numbers of the share.
  template <class Visit>
  void each(const Visit& visit) const {
    const Range mine = share(shape_.back(), comm_.size(), comm_.rank());
    std::vector<double> values;
    comm_.together([&] {
      for (Index head = 0; head < heads(); ++head)
        for (Index begin = mine.begin; begin < mine.end; begin += block_rows) {
          const Range rows{begin, std::min(mine.end, begin + block_rows)};
          values.resize(static_cast<std::size_t>(rows.size()));
          if (!h5::read_rows(dataset_, shape_.size() == 2, head, rows, H5T_NATIVE_DOUBLE, values.data()))
            throw std::runtime_error(path_ + ": " + name_ + " can't be read");
          for (double value : values) visit(value);
        }
    });
  }

 private:
  Index heads() const { return shape_.size() == 2 ? shape_[0] : 1; }

  const Communicator& comm_;
  std::string path_, name_;
  h5::Handle file_, dataset_;
  std::vector<Index> shape_;
};

/// Number `place` in the order of all, counted from 0.
double in_place(const Communicator& comm, const Column& column, Index place) {
  std::uint64_t known = 0;
  for (int shift = all_bits - digit_bits; shift >= 0; shift -= digit_bits) {
    std::vector<std::int64_t> counts(std::size_t{1} << digit_bits);
    const std::uint64_t above = shift + digit_bits < all_bits ? ~std::uint64_t{0} << (shift + digit_bits) : 0;
    column.each([&](double value) {
      const std::uint64_t integer = ordered(value);
      if ((integer & above) == known) ++counts[(integer >> shift) & (counts.size() - 1)];
    });
    comm.sum(counts);
    std::uint64_t digit = 0;
    for (; place >= counts[digit]; ++digit) place -= counts[digit];
    known |= digit << shift;
  }
  return number_of(known);
}

}  // namespace

Spread spread_of(const Communicator& comm, const std::string& path, const std::string& dataset) {
  const Column column(comm, path, dataset);
  Spread spread{column.count(), NAN, NAN};
  if (spread.count == 0) return spread;
  double largest = -HUGE_VAL, all_numbers = 1;
  column.each([&](double value) {
    largest = std::max(largest, value);
    if (std::isnan(value)) all_numbers = 0;
  });
  largest = comm.max(largest);
  spread.largest = comm.min(all_numbers) == 1 ? largest : NAN;
  spread.median = in_place(comm, column, (spread.count - 1) / 2);
  return spread;
}

}  // namespace kronattn
