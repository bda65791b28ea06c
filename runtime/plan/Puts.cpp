// Puts: see the header.
#include "runtime/plan/Puts.h"
#include "runtime/bundle/Errors.h"
#include "runtime/plan/PlannedMemory.h"

namespace peftrt::plan {

bool isPut(const Op &op, const std::string &kind, const Program &program) {
  if (kind != "update" || op.op != "put_last" || op.attrs.at("axis") != 0)
    return false;
  const Value &kept = program.values[op.in[0]], &made = program.values[op.in[1]];
  return kept.type == made.type && kept.perExample && made.perExample && layoutOf(made) == Layout::example && layoutOf(kept) == Layout::leading;
}

std::vector<Move> movesOfPut(const Op &op, const std::vector<Packed> &values, const BatchSize &size, const BatchSize &room) {
  const Packed &kept = values[op.out[0]], &made = values[op.in[1]];
  const int64_t width = widthOf(kept.type->type), bytes = rowBytesOf(*kept.type), entries = made.type->dims[0].c;
  const std::vector<int64_t> begins = blockOffsets(*kept.type, size);
  std::vector<Move> moves(static_cast<size_t>(room.examples()), Move{});
  for (int64_t text = 0; text < size.examples(); ++text) {
    const int64_t rows = kept.type->dims[0].at(size.lengths, text);
    if (rows < entries)
      failBundle("put_last at " + op.loc + ": a text has " + std::to_string(rows) + " entries, and " + std::to_string(entries) + " new ones");
    char *const to = static_cast<char *>(kept.tensor.data_ptr()) + begins[static_cast<size_t>(text)] * width + (rows - entries) * bytes;
    const char *const from = static_cast<const char *>(made.tensor.data_ptr()) + text * entries * bytes;
    moves[static_cast<size_t>(text)] = {to, from, entries, bytes, bytes, bytes};
  }
  return moves;
}

} // namespace peftrt::plan
