// The largest and the median of a column of a file, however long it is.
//
// Doubles are ordered like the integers their bits make, so the median is found digit by digit: each pass
// over the column counts, for one digit of 16 bits, the numbers that agree with the digits known so far. Four
// passes, and the memory of one block and one table of counts.
#pragma once

#include <string>

#include "communicator.hpp"

namespace kronattn {

struct Spread {
  Index count = 0;
  // Not numbers where there are none.
  double largest = 0;
  double median = 0;  // the smaller of the two in the middle where the count is even
};

/// Collective. Of a dataset (rows) or (heads, rows); each rank reads its share. What is not a number counts
/// as larger than all others.
Spread spread_of(const Communicator& comm, const std::string& path, const std::string& dataset);

}  // namespace kronattn
