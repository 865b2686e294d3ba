// A problem as the solver sees it: a shape, and rows to be read, wherever they come from.
#pragma once

#include <string>

#include "certificate.hpp"
#include "types.hpp"

namespace kronattn {

/// One of the datasets of a problem. `mode` counts from 0 and means nothing for queries.
struct Part {
  enum Kind { queries, keys, values } kind = queries;
  Index mode = 0;
};

/// Q, K1, V1, K2, ...
inline std::string part_name(Part part) {
  if (part.kind == Part::queries) return "Q";
  return std::string(1, part.kind == Part::keys ? 'K' : 'V').append(std::to_string(part.mode + 1));
}

class Problem {
 public:
  virtual ~Problem() = default;

  virtual const ProblemShape& shape() const = 0;

  /// The precision the rows are stored in.
  virtual Precision precision() const = 0;

  /// Reads rows of one head, (rows, d) or (rows, d_v). Every rank may read what it likes, when it likes.
  virtual Matrix read(Part part, Index head, Range rows) = 0;

  /// How messages call the problem: its path.
  virtual std::string name() const = 0;

  /// How messages call entry (row, column) of a part: "problem.h5: K1[5,2]".
  virtual std::string entry_name(Part part, Index head, Index row, Index column) const = 0;

  /// Bytes of memory that reading may take beside the rows it returns.
  virtual double buffer_bytes() const { return 0; }

  /// Bytes this rank has read so far.
  virtual std::int64_t bytes_read() const = 0;

  Index rows(Part part) const {
    return part.kind == Part::queries ? shape().queries : shape().keys[static_cast<std::size_t>(part.mode)];
  }
  Index columns(Part part) const { return part.kind == Part::values ? shape().value_width : shape().width; }
};

}  // namespace kronattn
