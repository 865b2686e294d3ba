#include "measure_problem.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "checksum.hpp"
#include "tiles.hpp"

namespace kronattn {

namespace {

bool all_finite(const Matrix& data) {
  bool finite = true;
#pragma omp parallel for reduction(&& : finite) if (data.rows() > key_tile_rows)
  for (Index begin = 0; begin < data.rows(); begin += key_tile_rows) {
    const Index rows = std::min(key_tile_rows, data.rows() - begin);
    finite = (data.middleRows(begin, rows).array() * 0).sum() == 0 && finite;  // 0 times anything else is nan
  }
  return finite;
}

/// Checks that rows are finite and adds their tiles to the content sum.
void inspect(const Problem& problem, Part part, Index head, Range rows, const Matrix& data,
             ContentSum& content) {
  const bool finite = all_finite(data);
  for (Index i = 0; i < data.rows() && !finite; ++i)
    for (Index c = 0; c < data.cols(); ++c)
      if (!std::isfinite(data(i, c)))
        throw std::runtime_error(problem.entry_name(part, head, rows.begin + i, c) + " is " +
                                 (std::isnan(data(i, c)) ? "nan"
                                  : data(i, c) > 0       ? "inf"
                                                         : "-inf") +
                                 "; entries must be finite");
  content.add(part, head, rows, data);
}

void max(const Communicator& comm, Vector& values) {
  comm.max(values.data(), values.size());
}

void min(const Communicator& comm, Vector& values) {
  comm.min(values.data(), values.size());
}

/// Collective.
void merge(const Communicator& comm, ModeMeasurement& mode) {
  mode.rows = comm.sum(std::int64_t{mode.rows});
  min(comm, mode.key_min);
  max(comm, mode.key_max);
  min(comm, mode.key_nonzero.low);
  max(comm, mode.key_nonzero.high);
  mode.key_nonzero.settle();
  mode.key_norm = comm.max(mode.key_norm);
  mode.weight_max = comm.max(mode.weight_max);
  comm.sum(mode.weight_sum.digits());
  comm.sum(mode.key_sums.digits());
  comm.sum(mode.key_powers.digits());
  min(comm, mode.value_min);
  max(comm, mode.value_max);
}

/// Collective.
void merge(const Communicator& comm, QueryMeasurement& queries) {
  max(comm, queries.largest);
  min(comm, queries.nonzero.low);
  max(comm, queries.nonzero.high);
  queries.nonzero.settle();
  queries.score_bound = comm.max(queries.score_bound);
  queries.box_bound = comm.max(queries.box_bound);
  queries.score_error = comm.max(queries.score_error);
  comm.sum(queries.spreads.rows);
  max(comm, queries.spreads.below);
  max(comm, queries.spreads.above);
}

/// Collective in its failures. Some rows of a dataset, in blocks evenly spread over it, which row numbers
/// alone decide. Those that this rank owns are read, the others are 0.
Matrix my_sample(const Communicator& comm, Problem& problem, Part part, Index head, Index blocks,
                 Index block_rows) {
  const Index rows = problem.rows(part);
  if (rows <= blocks * block_rows) blocks = 1, block_rows = rows;
  const Range mine = share_of_rows(rows, key_tile_rows, comm.size(), comm.rank());
  Matrix sample = Matrix::Zero(blocks * block_rows, problem.columns(part));
  for (Index b = 0; b < blocks; ++b) {
    const double step =
        blocks > 1 ? static_cast<double>(rows - block_rows) / static_cast<double>(blocks - 1) : 0;
    const auto first = static_cast<Index>(std::llround(step * static_cast<double>(b)));
    const Range own{std::max(first, mine.begin), std::min(first + block_rows, mine.end)};
    if (own.size() > 0)
      sample.middleRows(b * block_rows + own.begin - first, own.size()) = problem.read(part, head, own);
  }
  return sample;
}

/// The measurement of a pass as it grows, by threads over tiles: maxima, minima and exact sums merge in any
/// order.
template <class Measured, class Absorb>
void measure_tiles(Index rows, Index tile_rows, Measured& measured, const Measured& empty, Absorb absorb) {
#pragma omp parallel
  {
    Measured mine = empty;
#pragma omp for schedule(dynamic)
    for (Index tile = 0; tile < tile_count(rows, tile_rows); ++tile)
      absorb(tile_range(tile, rows, tile_rows), mine);
#pragma omp critical
    measured.merge(mine);
  }
}

/// A mode in both systems of coordinates.
struct BothModes {
  ModeMeasurement file, changed;
  double remainder = 0, dropped = 0;

  void merge(const BothModes& other) {
    file.merge(other.file);
    changed.merge(other.changed);
    remainder = std::max(remainder, other.remainder);
    dropped = std::max(dropped, other.dropped);
  }
};

struct BothQueries {
  QueryMeasurement file, changed;

  void merge(const BothQueries& other) {
    file.merge(other.file);
    changed.merge(other.changed);
  }
};

/// The measurement of all heads, pass by pass.
class Measuring {
 public:
  Measuring(const Communicator& comm, Problem& problem, std::vector<MeasuredHead>& heads,
            PhaseSeconds& seconds, Progress& progress, const RunControl& control, Index block_bytes)
      : comm_(comm),
        problem_(problem),
        shape_(problem.shape()),
        heads_(heads),
        seconds_(seconds),
        progress_(progress),
        control_(control),
        block_bytes_(block_bytes) {
    Index mine = share_of_rows(shape_.queries, key_tile_rows, comm.size(), comm.rank()).size();
    for (Index keys : shape_.keys)
      mine += share_of_rows(keys, key_tile_rows, comm.size(), comm.rank()).size();
    progress.begin("measure", shape_.heads * mine);
  }

  /// Collective. `contents`: of each head.
  void keys(std::vector<ContentSum>& contents) {
    contents.resize(static_cast<std::size_t>(shape_.heads));
    for (Index head = 0; head < shape_.heads; ++head)
      for (Index m = 0; m < shape_.modes(); ++m) keys_of(head, m, contents[static_cast<std::size_t>(head)]);
    for (MeasuredHead& head : heads_) {
      for (ModeMeasurement& mode : head.file.modes) merge(comm_, mode);
      if (head.change.none()) {
        head.changed.modes = head.file.modes;
        continue;
      }
      for (ModeMeasurement& mode : head.changed.modes) merge(comm_, mode);
      comm_.max(head.key_remainders.data(), static_cast<Index>(head.key_remainders.size()));
      head.key_dropped = comm_.max(head.key_dropped);
    }
  }

  /// Collective.
  void queries(ContentSum& content) {
    for (Index head = 0; head < shape_.heads; ++head) queries_of(head, content);
    for (MeasuredHead& head : heads_) {
      merge(comm_, head.changed.queries);
      if (head.change.none())
        head.file.queries = head.changed.queries;
      else
        merge(comm_, head.file.queries);
    }
  }

 private:
  /// Collective.
  template <class Step>
  void steps(const std::vector<Range>& blocks, Step step) {
    control_.steps(
        comm_, static_cast<Index>(blocks.size()), [&](Index i) { step(blocks[static_cast<std::size_t>(i)]); },
        nullptr);
  }

  Matrix read(Part part, Index head, Range rows) {
    const Timed timed(seconds_.read);
    return problem_.read(part, head, rows);
  }

  /// Collective.
  void keys_of(Index number, Index m, ContentSum& content) {
    MeasuredHead& head = heads_[static_cast<std::size_t>(number)];
    const Part keys{Part::keys, m}, values{Part::values, m};
    BothModes empty{ModeMeasurement(shape_.width, shape_.value_width),
                    ModeMeasurement(head.change.width(shape_.width), shape_.value_width)};
    (head.change.none() ? empty.file : empty.changed)
        .sum_powers(head.sample.keys[static_cast<std::size_t>(m)]);
    BothModes mode = empty;
    const std::vector<Range> blocks =
        my_blocks(comm_, problem_.rows(keys), shape_.width + shape_.value_width, key_tile_rows, block_bytes_);
    steps(blocks, [&](Range rows) {
      const Matrix key_rows = read(keys, number, rows), value_rows = read(values, number, rows);
      const Timed timed(seconds_.measure);
      inspect(problem_, keys, number, rows, key_rows, content);
      inspect(problem_, values, number, rows, value_rows, content);
      measure_tiles(rows.size(), key_tile_rows, mode, empty, [&](Range tile, BothModes& mine) {
        const ColumnTile tile_keys = columns_of(key_rows.middleRows(tile.begin, tile.size()));
        mine.file.absorb_keys(tile_keys, Vector(), shape_.order());
        mine.file.absorb_values(value_rows.middleRows(tile.begin, tile.size()));
        if (head.change.none()) return;
        const MeasuredKeys changed = head.change.measured_keys(tile_keys, static_cast<std::size_t>(m));
        mine.changed.absorb_keys(changed.rows, changed.weights, shape_.order());
        mine.remainder = std::max(mine.remainder, changed.remainder);
        mine.dropped = std::max(mine.dropped, changed.dropped);
      });
      progress_.advance(rows.size());
    });
    mode.changed.value_min = mode.file.value_min;
    mode.changed.value_max = mode.file.value_max;
    head.file.modes.push_back(std::move(mode.file));
    if (head.change.none()) return;
    head.changed.modes.push_back(std::move(mode.changed));
    head.key_remainders.push_back(mode.remainder);
    head.key_dropped = std::max(head.key_dropped, mode.dropped);
  }

  /// Collective.
  void queries_of(Index number, ContentSum& content) {
    MeasuredHead& head = heads_[static_cast<std::size_t>(number)];
    const ProblemShape changed_shape = head.changed_shape(shape_);
    const ScoreBounds file_bounds(head.file.modes, shape_), changed_bounds(head.changed.modes, changed_shape);
    const BothQueries empty{QueryMeasurement(shape_.width), QueryMeasurement(changed_shape.width)};
    BothQueries queries = empty;
    steps(my_blocks(comm_, shape_.queries, shape_.width, key_tile_rows, block_bytes_), [&](Range rows) {
      const Matrix query_rows = read({Part::queries}, number, rows);
      const Timed timed(seconds_.measure);
      inspect(problem_, {Part::queries}, number, rows, query_rows, content);
      measure_tiles(rows.size(), query_tile_rows, queries, empty, [&](Range tile, BothQueries& mine) {
        const ColumnTile raw = columns_of(query_rows.middleRows(tile.begin, tile.size()));
        const QueryTile changed(head, changed_bounds, changed_shape, raw);
        mine.changed.absorb(changed.rows, changed.scores);
        if (head.change.none()) return;
        mine.file.absorb(raw, file_bounds.rows(raw));
      });
      progress_.advance(rows.size());
    });
    head.file.queries = std::move(queries.file);
    head.changed.queries = std::move(queries.changed);
  }

  const Communicator& comm_;
  Problem& problem_;
  const ProblemShape& shape_;
  std::vector<MeasuredHead>& heads_;
  PhaseSeconds& seconds_;
  Progress& progress_;
  const RunControl& control_;
  Index block_bytes_;
};

/// Collective: a sample of one head, on all ranks.
HeadSample read_sample(const Communicator& comm, Problem& problem, Index head) {
  HeadSample sample;
  comm.together([&] {
    sample.queries = my_sample(comm, problem, {Part::queries}, head, 8, 32);
    for (Index m = 0; m < problem.shape().modes(); ++m)
      sample.keys.push_back(my_sample(comm, problem, {Part::keys, m}, head, 64, 64));
  });
  comm.combine(sample.queries.data(), sample.queries.size());
  for (Matrix& keys : sample.keys) comm.combine(keys.data(), keys.size());
  const auto finite = [](const Matrix& rows) { return rows.allFinite(); };
  if (!finite(sample.queries) || !std::all_of(sample.keys.begin(), sample.keys.end(), finite)) {
    sample.queries.setZero();  // the full pass will name the entry
    for (Matrix& keys : sample.keys) keys.setZero();
  }
  return sample;
}

/// What it holds.
ContentSum content_of(const HeadSample& sample, Index head) {
  ContentSum content;
  content.add({Part::queries}, head, {0, sample.queries.rows()}, sample.queries);
  for (std::size_t m = 0; m < sample.keys.size(); ++m)
    content.add({Part::keys, static_cast<Index>(m)}, head, {0, sample.keys[m].rows()}, sample.keys[m]);
  return content;
}

}  // namespace

void look_at_sample(const Communicator& comm, Problem& problem, const CoordinateWishes& wishes,
                    bool may_change, ProblemMeasurement& measurement) {
  const std::size_t number = measurement.heads.size();
  const auto head = static_cast<Index>(number);
  HeadSample sample = read_sample(comm, problem, head);
  double negligible_score = wishes.negligible_score;
  if (!wishes.given.empty()) {
    const CoordinateWishes::Given& given = wishes.given[number];
    may_change = may_change && given.change;
    negligible_score = given.negligible_score;
    sample.queries = given.queries;
  }
  measurement.samples.merge(content_of(sample, head));
  measurement.query_samples.push_back(sample.queries);
  measurement.heads.emplace_back(sample, problem.shape(), may_change, negligible_score);
}

std::string ProblemMeasurement::fingerprint() const {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(identity));
  return text;
}

std::vector<Range> my_blocks(const Communicator& comm, Index rows, Index columns, Index tile_rows,
                             Index bytes) {
  const Range mine = share_of_rows(rows, tile_rows, comm.size(), comm.rank());
  const Index tiles = std::max<Index>(1, bytes / (tile_rows * columns * Index{sizeof(double)}));
  std::vector<Range> blocks;
  for (Index begin = mine.begin; begin < mine.end; begin += tiles * tile_rows)
    blocks.push_back({begin, std::min(mine.end, begin + tiles * tile_rows)});
  return blocks;
}

CoordinateWishes coordinate_wishes(const Wishes& wishes) {
  return {wishes.change_coordinates && wishes.method != Method::exact, wishes.negligible_score(), {}};
}

ProblemMeasurement measure_problem(const Communicator& comm, Problem& problem, const CoordinateWishes& wishes,
                                   PhaseSeconds& seconds, Progress& progress, const RunControl& control,
                                   const RankMemory& memory) {
  const ProblemShape& shape = problem.shape();
  const double taken = measuring_bytes(shape) + problem.buffer_bytes();
  memory.need(comm, problem.name() + ": measuring the problem", taken + least_bytes_in_flight(shape));
  const Blocks blocks = blocks_within(memory.left(comm, taken), shape);
  ProblemMeasurement measurement;
  ContentSum content;
  std::vector<bool> may_change(static_cast<std::size_t>(shape.heads), wishes.change);
  const auto measure = [&] {
    measurement = ProblemMeasurement();
    content = ContentSum();
    for (const bool may : may_change) {
      const Timed timed(seconds.measure);
      look_at_sample(comm, problem, wishes, may, measurement);
    }
    Measuring measuring(comm, problem, measurement.heads, seconds, progress, control, blocks.read_bytes);
    measuring.keys(measurement.key_contents);
    for (const ContentSum& keys : measurement.key_contents) content.merge(keys);
    measuring.queries(content);
  };
  measure();
  // A sample may mislead: where rows that it did not hold are far outside of its coordinates, the file's are
  // kept. Coordinates that are given stay: KeySums::check decides.
  bool misled = false;
  if (wishes.given.empty())
    for (std::size_t head = 0; head < may_change.size(); ++head)
      if (!(measurement.heads[head].changed.queries.score_error <= wishes.negligible_score))
        may_change[head] = false, misled = misled || wishes.change;
  if (misled) measure();

  long double promise = 1;
  for (Index m = 0; m < shape.modes(); ++m) {
    double largest = 0;
    for (const MeasuredHead& head : measurement.heads)
      largest = std::max(largest, largest_value(head.file.modes[static_cast<std::size_t>(m)]));
    promise *= largest;
  }
  measurement.promise = static_cast<double>(promise);
  measurement.content = content.over_ranks(comm);
  for (ContentSum& keys : measurement.key_contents) {
    std::vector<std::int64_t> halves = keys.halves();
    comm.sum(halves);
    keys = ContentSum(halves);
  }
  std::vector<std::int64_t> lengths = {shape.heads, shape.queries, shape.width, shape.value_width};
  lengths.insert(lengths.end(), shape.keys.begin(), shape.keys.end());
  measurement.identity = checksum(lengths.data(), lengths.size() * sizeof(std::int64_t), measurement.content);
  return measurement;
}

}  // namespace kronattn
