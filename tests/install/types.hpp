// A header whose name is also that of one of kronattn's.
#pragma once

struct TypesOfMine {
  bool mine = true;
};
