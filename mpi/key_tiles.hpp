// Key tiles on their way to every rank, in the order of their global numbers, the next ones while one is
// computed with.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>

#include "clock.hpp"
#include "communicator.hpp"
#include "content.hpp"
#include "coordinates.hpp"
#include "exact_attention.hpp"
#include "problem.hpp"

namespace kronattn {

/// The tiles of all modes of one head. Each tile is read by the rank that owns it, which adds it to `content`
/// the first time, and broadcast; those of the last mode are asked for one after the other, so some of them
/// are under way before they are asked for. The first time tiles of a mode are asked for in ascending order.
class KeyTiles {
 public:
  KeyTiles(const Communicator& comm, Problem& problem, Index head, const Coordinates& coordinates,
           ExactArithmetic arithmetic, PhaseSeconds& seconds, ContentSum& content, Index kept_bytes);

  /// Of each mode, how many tiles are in `content`: the same on all ranks. An earlier run's may be set.
  const std::vector<Index>& counted() const { return counted_; }
  void set_counted(std::vector<Index> counted) { counted_ = std::move(counted); }

  /// Collective: every rank asks for the same tiles in the same order. Tiles are kept for the next time while
  /// all of them together fit into `kept_bytes`; what is kept is the same on all ranks and decides no bits.
  std::shared_ptr<const KeyTile> get(Index mode, Index tile);

  Index count(Index mode) const;
  /// Of one tile of each mode.
  double tuples() const;

 private:
  struct Message {
    Index mode, tile;
    int owner;
    std::string failure;  // of the owner's reading
    std::unique_ptr<PendingBroadcast> entries;
  };
  void send(Index mode, Index tile);
  Message receive(Index mode, Index tile);

  const Communicator& comm_;
  Problem& problem_;
  Index head_;
  const Coordinates& coordinates_;
  ExactArithmetic arithmetic_;
  PhaseSeconds& seconds_;
  ContentSum& content_;
  std::vector<Index> counted_;
  std::deque<Message> under_way_;
  bool keep_;
  std::map<std::pair<Index, Index>, std::shared_ptr<const KeyTile>> kept_;
};

/// Collective: lets all tuples of key tiles pass by `attention`, which may be without rows on some ranks, but
/// for the first `behind`, which its sums have; after each `passed` is called. At that point the sums may be
/// copied for another call to go on from.
void absorb_all(KeyTiles& tiles, Index modes, Index behind, ExactAttention& attention,
                const std::function<void()>& passed);

}  // namespace kronattn
