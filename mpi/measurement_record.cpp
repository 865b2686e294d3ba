#include "measurement_record.hpp"

namespace kronattn {

namespace {

using nlohmann::json;

json to_json(const Vector& vector) {
  return std::vector<double>(vector.data(), vector.data() + vector.size());
}

void read(const json& kept, Vector& vector) {
  const auto numbers = kept.get<std::vector<double>>();
  if (static_cast<Index>(numbers.size()) != vector.size())
    throw std::runtime_error("a vector of another length");
  vector = Eigen::Map<const Vector>(numbers.data(), vector.size());
}

void read(const json& kept, std::vector<std::int64_t>& integers) {
  const auto numbers = kept.get<std::vector<std::int64_t>>();
  if (numbers.size() != integers.size()) throw std::runtime_error("integers of another number");
  integers = numbers;
}

json to_json(const ModeMeasurement& mode) {
  return {{"rows", mode.rows},
          {"key_min", to_json(mode.key_min)},
          {"key_max", to_json(mode.key_max)},
          {"key_nonzero_low", to_json(mode.key_nonzero.low)},
          {"key_nonzero_high", to_json(mode.key_nonzero.high)},
          {"key_norm", mode.key_norm},
          {"weight_max", mode.weight_max},
          {"weight_sum", mode.weight_sum.digits()},
          {"key_sums", mode.key_sums.digits()},
          {"key_powers", mode.key_powers.digits()},
          {"key_units", mode.key_units},
          {"value_min", to_json(mode.value_min)},
          {"value_max", to_json(mode.value_max)}};
}

/// Into a mode without rows that has its lengths and units already.
void read(const json& kept, ModeMeasurement& mode) {
  mode.rows = kept.at("rows");
  read(kept.at("key_min"), mode.key_min);
  read(kept.at("key_max"), mode.key_max);
  read(kept.at("key_nonzero_low"), mode.key_nonzero.low);
  read(kept.at("key_nonzero_high"), mode.key_nonzero.high);
  mode.key_norm = kept.at("key_norm");
  mode.weight_max = kept.at("weight_max");
  read(kept.at("weight_sum"), mode.weight_sum.digits());
  read(kept.at("key_sums"), mode.key_sums.digits());
  read(kept.at("key_powers"), mode.key_powers.digits());
  if (kept.at("key_units").get<std::vector<int>>() != mode.key_units)
    throw std::runtime_error("keys are counted in other units");
  read(kept.at("value_min"), mode.value_min);
  read(kept.at("value_max"), mode.value_max);
}

json to_json(const QueryMeasurement& queries) {
  return {{"largest", to_json(queries.largest)},
          {"nonzero_low", to_json(queries.nonzero.low)},
          {"nonzero_high", to_json(queries.nonzero.high)},
          {"score_bound", queries.score_bound},
          {"box_bound", queries.box_bound},
          {"score_error", queries.score_error},
          {"spread_rows", queries.spreads.rows},
          {"spread_below", to_json(queries.spreads.below)},
          {"spread_above", to_json(queries.spreads.above)}};
}

void read(const json& kept, QueryMeasurement& queries) {
  read(kept.at("largest"), queries.largest);
  read(kept.at("nonzero_low"), queries.nonzero.low);
  read(kept.at("nonzero_high"), queries.nonzero.high);
  queries.score_bound = kept.at("score_bound");
  queries.box_bound = kept.at("box_bound");
  queries.score_error = kept.at("score_error");
  read(kept.at("spread_rows"), queries.spreads.rows);
  read(kept.at("spread_below"), queries.spreads.below);
  read(kept.at("spread_above"), queries.spreads.above);
}

json to_json(const HeadMeasurement& head) {
  json modes = json::array();
  for (const ModeMeasurement& mode : head.modes) modes.push_back(to_json(mode));
  return {{"modes", modes}, {"queries", to_json(head.queries)}};
}

/// What a measurement of a head is before it has seen rows.
HeadMeasurement empty_measurement(const ProblemShape& shape, const HeadSample* units) {
  HeadMeasurement head;
  for (std::size_t m = 0; m < shape.keys.size(); ++m) {
    head.modes.emplace_back(shape.width, shape.value_width);
    if (units != nullptr) head.modes.back().sum_powers(units->keys[m]);
  }
  head.queries = QueryMeasurement(shape.width);
  return head;
}

void read(const json& kept, HeadMeasurement& head) {
  if (kept.at("modes").size() != head.modes.size()) throw std::runtime_error("another number of modes");
  for (std::size_t m = 0; m < head.modes.size(); ++m) read(kept.at("modes")[m], head.modes[m]);
  read(kept.at("queries"), head.queries);
}

}  // namespace

json to_json(const ProblemMeasurement& measurement) {
  json heads = json::array();
  for (const MeasuredHead& head : measurement.heads) {
    heads.push_back({{"changes", !head.change.none()},
                     {"file", to_json(head.file)},
                     {"changed", head.change.none() ? json() : to_json(head.changed)},
                     {"key_remainders", head.key_remainders},
                     {"key_dropped", head.key_dropped},
                     {"key_content", measurement.key_contents[heads.size()].halves()}});
  }
  return {{"heads", heads},
          {"promise", measurement.promise},
          {"content", measurement.content},
          {"identity", measurement.identity},
          {"samples", measurement.samples.halves()}};
}

std::optional<ProblemMeasurement> recorded_measurement(const Communicator& comm, Problem& problem,
                                                       const CoordinateWishes& wishes, const json& record) {
  const ProblemShape& shape = problem.shape();
  ProblemMeasurement measurement;
  // All ranks have the same record and the same samples, so all leave in the same way.
  try {
    const auto& heads = record.at("heads");
    if (static_cast<Index>(heads.size()) != shape.heads) return std::nullopt;
    for (Index number = 0; number < shape.heads; ++number) {
      const auto& kept = heads[static_cast<std::size_t>(number)];
      const bool changes = kept.at("changes");
      look_at_sample(comm, problem, wishes, wishes.change && changes, measurement);
      MeasuredHead& head = measurement.heads.back();
      if (head.change.none() == changes) return std::nullopt;
      head.file = empty_measurement(shape, changes ? nullptr : &head.sample);
      read(kept.at("file"), head.file);
      head.changed = head.file;
      if (changes) {
        head.changed = empty_measurement(head.changed_shape(shape), &head.sample);
        read(kept.at("changed"), head.changed);
      }
      head.key_remainders = kept.at("key_remainders").get<std::vector<double>>();
      head.key_dropped = kept.at("key_dropped");
      measurement.key_contents.emplace_back(kept.at("key_content").get<std::vector<std::int64_t>>());
    }
    measurement.promise = record.at("promise");
    measurement.content = record.at("content");
    measurement.identity = record.at("identity");
    if (measurement.samples != ContentSum(record.at("samples").get<std::vector<std::int64_t>>()))
      return std::nullopt;
  } catch (const AgreedFailure&) {
    throw;
  } catch (const std::exception&) {
    return std::nullopt;
  }
  return measurement;
}

}  // namespace kronattn
