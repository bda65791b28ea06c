// WholeProducts: see the header.
#include "compiler/conversion/WholeProducts.h"
#include "compiler/conversion/Code.h"

using namespace mlir;

namespace peftc::conversion {
namespace {

constexpr int64_t kDepth = 512;     ///< a panel's block and six rows of A stay in the second-level cache
constexpr int64_t kLine = 16;       ///< floats of a cache line
constexpr int64_t kBlockRows = 6;   ///< times the panel's registers: as many sums as fit beside what they are made of

/// Fields of ProductCall.
enum Field : int32_t { a, b, packed, c, aRow, bDepth, bColumn, cRow, rows, depth, columns, accumulate };

class WholeProducts {
public:
  WholeProducts(OpBuilder &builder, Location loc, unsigned lanes)
      : code(builder, loc, lanes / 2), vectors(lanes >= 32 ? 4 : 2), panelColumns(vectors * code.lanes) {}

  void emitPack(Value call, Value begin, Value end) {
    load(call);
    Value width = code.roundUp(columnCount, panelColumns);
    code.loop(begin, end, 1, [&](Value panel) {
      Value first = code.mul(panel, panelColumns), present = code.least(code.integer(panelColumns), code.sub(columnCount, first));
      code.loop(code.integer(0), depthCount, kDepth, [&](Value start) {
        Value height = code.least(code.integer(kDepth), code.sub(depthCount, start));
        Value to = code.at(packedPointer, code.add(code.mul(start, width), code.mul(code.mul(panel, height), panelColumns)));
        Value from = code.at(bPointer, code.add(code.mul(start, bDepthStride), code.mul(first, bColumnStride)));
        packBlock(from, to, height, present);
      });
    });
  }

  void emitRows(Value call, Value begin, Value end) {
    load(call);
    Value width = code.roundUp(columnCount, panelColumns);
    code.loop(code.integer(0), depthCount, kDepth, [&](Value start) {
      Value height = code.least(code.integer(kDepth), code.sub(depthCount, start));
      Value isFirst = arith::CmpIOp::create(code.b, code.loc, arith::CmpIPredicate::eq, start, code.integer(0));
      Value adds = arith::CmpIOp::create(code.b, code.loc, arith::CmpIPredicate::ne, field(Field::accumulate), code.integer(0));
      Value fresh = arith::AndIOp::create(code.b, code.loc, isFirst, arith::XOrIOp::create(code.b, code.loc, adds, arith::ConstantOp::create(code.b, code.loc, code.b.getBoolAttr(true))));
      code.loop(code.integer(0), columnCount, panelColumns, [&](Value column) {
        Value panel = code.at(packedPointer, code.add(code.mul(start, width), code.mul(column, height)));
        Value whole = code.add(begin, code.mul(arith::DivUIOp::create(code.b, code.loc, code.sub(end, begin), code.integer(kBlockRows)), kBlockRows));
        code.loop(begin, whole, kBlockRows, [&](Value row) { emitBlock(row, kBlockRows, start, height, column, panel, fresh); });
        code.loop(whole, end, 1, [&](Value row) { emitBlock(row, 1, start, height, column, panel, fresh); });
      });
    });
  }

private:
  Value field(Field which) {
    auto type = LLVM::LLVMStructType::getLiteral(code.b.getContext(), {code.pointer(), code.pointer(), code.pointer(), code.pointer(), code.i64(), code.i64(), code.i64(), code.i64(), code.i64(),
                                                                       code.i64(), code.i64(), code.i64()});
    Value address = LLVM::GEPOp::create(code.b, code.loc, code.pointer(), type, callPointer, ArrayRef<LLVM::GEPArg>{0, static_cast<int32_t>(which)});
    return code.load(address, type.getBody()[which]);
  }

  void load(Value call) {
    callPointer = call;
    aPointer = field(Field::a), bPointer = field(Field::b), packedPointer = field(Field::packed), cPointer = field(Field::c);
    aRowStride = field(Field::aRow), bDepthStride = field(Field::bDepth), bColumnStride = field(Field::bColumn), cRowStride = field(Field::cRow);
    depthCount = field(Field::depth), columnCount = field(Field::columns);
  }

  /// A cache line of a transposed weight's row at a time: what is written meanwhile stays in the first-level cache.
  void packBlock(Value from, Value to, Value height, Value present) {
    code.loop(code.integer(0), height, kLine, [&](Value line) {
      Value end = code.least(height, code.add(line, code.integer(kLine)));
      code.loop(code.integer(0), present, 1, [&](Value column) {
        Value source = code.at(from, code.mul(column, bColumnStride)), target = code.at(to, column);
        code.loop(line, end, 1, [&](Value place) {
          code.store(code.load(code.at(source, code.mul(place, bDepthStride)), code.f32()), code.at(target, code.mul(place, panelColumns)));
        });
      });
    });
    code.loop(present, code.integer(panelColumns), 1, [&](Value column) {
      code.loop(code.integer(0), height, 1, [&](Value place) { code.store(code.number(0), code.at(to, code.add(code.mul(place, panelColumns), column))); });
    });
  }

  void emitBlock(Value row, int64_t count, Value start, Value height, Value column, Value panel, Value fresh) {
    SmallVector<Value> lines, masks, sums;
    for (int64_t v = 0; v < vectors; ++v)
      masks.push_back(code.firstLanes(code.sub(columnCount, code.add(column, code.integer(v * code.lanes)))));
    SmallVector<Value> targets;
    Value zeros = code.splat(code.number(0));
    for (int64_t r = 0; r < count; ++r) {
      Value line = r ? code.add(row, code.integer(r)) : row;
      lines.push_back(code.at(aPointer, code.add(code.mul(line, aRowStride), start)));
      for (int64_t v = 0; v < vectors; ++v) {
        targets.push_back(code.at(cPointer, code.add(code.mul(line, cRowStride), code.add(column, code.integer(v * code.lanes)))));
        sums.push_back(arith::SelectOp::create(code.b, code.loc, fresh, zeros, code.loadVector(targets.back(), masks[v])));
      }
    }
    sums = code.loop(code.integer(0), height, 1, sums, [&](Value place, ValueRange carried) {
      SmallVector<Value> parts, next;
      Value here = code.at(panel, code.mul(place, panelColumns));
      for (int64_t v = 0; v < vectors; ++v)
        parts.push_back(code.loadVector(code.at(here, code.integer(v * code.lanes))));
      for (int64_t r = 0; r < count; ++r) {
        Value factor = code.splat(code.load(code.at(lines[r], place), code.f32()));
        for (int64_t v = 0; v < vectors; ++v)
          next.push_back(vector::FMAOp::create(code.b, code.loc, factor, parts[v], carried[r * vectors + v]));
      }
      return next;
    });
    for (auto [index, sum] : llvm::enumerate(sums))
      code.storeVector(sum, targets[index], masks[index % vectors]);
  }

  Code code;
  int64_t vectors, panelColumns;
  Value callPointer, aPointer, bPointer, packedPointer, cPointer, aRowStride, bDepthStride, bColumnStride, cRowStride, depthCount, columnCount;
};

void emitFunction(OpBuilder &builder, Location loc, StringRef name, unsigned lanes, void (WholeProducts::*body)(Value, Value, Value)) {
  MLIRContext *context = builder.getContext();
  Type pointer = LLVM::LLVMPointerType::get(context), number = builder.getI64Type();
  auto function = LLVM::LLVMFuncOp::create(builder, loc, name, LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), {pointer, number, number}));
  Block *entry = function.addEntryBlock(builder);
  OpBuilder inside = OpBuilder::atBlockEnd(entry);
  (WholeProducts(inside, loc, lanes).*body)(entry->getArgument(0), entry->getArgument(1), entry->getArgument(2));
  LLVM::ReturnOp::create(inside, loc, ValueRange{});
}

} // namespace

void emitWholeProducts(OpBuilder &builder, Location loc, unsigned lanes) {
  emitFunction(builder, loc, "product_pack", lanes, &WholeProducts::emitPack);
  emitFunction(builder, loc, "product_rows", lanes, &WholeProducts::emitRows);
}

} // namespace peftc::conversion
