// A measurement as a checkpoint keeps it, so that a resumed run need not read the whole problem once more.
//
// What a sample decides (coordinates, the shape of the scores) is made anew from the sample, some thousand
// rows; what the passes over all rows found is kept.
#pragma once

#include <nlohmann/json.hpp>

#include "measure_problem.hpp"

namespace kronattn {

/// Numbers keep all their bits in CBOR.
nlohmann::json to_json(const ProblemMeasurement& measurement);

/// Collective: reads the sample again. Nothing where the record or the sample is not that of this problem.
std::optional<ProblemMeasurement> recorded_measurement(const Communicator& comm, Problem& problem,
                                                       const CoordinateWishes& wishes,
                                                       const nlohmann::json& record);

}  // namespace kronattn
