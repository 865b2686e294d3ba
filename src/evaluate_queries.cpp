#include "evaluate_queries.hpp"

#include "tiles.hpp"

namespace kronattn {

RowOutputs evaluate_queries(const Monomials& monomials, const Matrix& combined,
                            const Coordinates& coordinates, const PolynomialCertificate& certificate,
                            const ConstTile& queries) {
  const Index tiles = tile_count(queries.rows(), query_tile_rows);
  const Index d = queries.cols(), columns = combined.cols();
  RowOutputs outputs(queries.rows(), columns - 1);
#pragma omp parallel
  {
    FeatureWalk walk(monomials, query_tile_rows);
    Matrix points(d, query_tile_rows), moments(query_tile_rows, (monomials.degree() + 1) * columns);
#pragma omp for schedule(dynamic)
    for (Index tile = 0; tile < tiles; ++tile) {
      const Range rows = tile_range(tile, queries.rows(), query_tile_rows);
      const auto tile_points = points.leftCols(rows.size());
      coordinates.queries.transpose_into(queries.middleRows(rows.begin, rows.size()), tile_points);
      moments.setZero();
      walk(tile_points, monomials.degree(), [&](Index degree, Range block, const ConstTile& features) {
        moments.block(0, degree * columns, rows.size(), columns).noalias() +=
            features.transpose() * combined.middleRows(block.begin, block.size());
      });
      for (Index i = 0; i < rows.size(); ++i) {
        double box = 0, mean = 0;
        for (Index l = 0; l < d; ++l) {
          box += std::abs(points(l, i)) * coordinates.box(l);
          mean += points(l, i) * coordinates.mean(l);
        }
        box *= 1 + 2 * gamma(static_cast<double>(d + 2));
        const Index row = rows.begin + i;
        const RowBound bound = certificate.finish(
            moments.row(i).data(), box, mean, outputs.output.row(row).data(), outputs.log_normalizer(row));
        outputs.error_bound(row) = bound.output;
        outputs.log_error(row) = bound.log_normalizer;
      }
    }
  }
  return outputs;
}

}  // namespace kronattn
