// The `plan` dialect: how programs run.
#ifndef PEFT_PLAN_DIALECT
#define PEFT_PLAN_DIALECT
include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"

def Plan_Dialect : Dialect {
  let name = "plan";
  let cppNamespace = "::mlir::plan";
  let summary = "Programs as steps in order on planned memory";
  let description = [{
    A `plan.program` is a list of `plan.step`s over packed batches. A step's result lies in a slot of the program's arena; a
    `plan.alias` is another shape of the same bytes. What the bundle's plan.json holds is this, serialised.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

def Plan_Packed : TypeDef<Plan_Dialect, "Packed"> {
  let mnemonic = "packed";
  let summary = "one array of the run, or the concatenation over the batch's examples of their row-major blocks (`example`)";
  let description = [{
    A row is what lies under one index of the first axis. Rows lie one behind the other, or `pitch` elements apart, each from `column` on: then other values may lie beside
    them in the same slot (`plan.beside`). `<example, [seq, 16], bf16, pitch = 400, column = 384>`.
  }];
  let parameters = (ins "bool":$example, ArrayRefParameter<"::mlir::plan::Dim">:$dims, "::mlir::Type":$element, DefaultValuedParameter<"int64_t", "0">:$pitch,
                        DefaultValuedParameter<"int64_t", "0">:$column);
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    static PackedType get(::mlir::MLIRContext *context, bool example, ::llvm::ArrayRef<Dim> dims, ::mlir::Type element) { return get(context, example, dims, element, 0, 0); }
    /// The same rows in a table of `pitch` columns, from `column` on.
    PackedType inTable(int64_t pitch, int64_t column) const { return get(getContext(), getExample(), getDims(), getElement(), pitch, column); }
    /// Elements of a row.
    int64_t columns() const {
      int64_t product = 1;
      for (Dim dim : getDims().drop_front())
        product *= dim.constant;
      return product;
    }
  }];
}

def Plan_DimAttr : AttrDef<Plan_Dialect, "Dim"> {
  let mnemonic = "dim";
  let summary = "`c + k * seq`, of a sequence";
  let parameters = (ins "int64_t":$constant, "int64_t":$scale, DefaultValuedParameter<"int64_t", "0">:$sequence);
  let assemblyFormat = "`<` $constant `,` $scale (`,` $sequence^)? `>`";
}

def Plan_SizeAttr : AttrDef<Plan_Dialect, "Size"> {
  let mnemonic = "size";
  let summary = "bytes: `c + e * examples + t * tokens + q * (sum of seq * seq) + p * threads`";
  let description = [{
    `t` and `q` are those of the first sequence; `ts` and `qs`, where there are more, those of the others: a `t` for each, a `q` for each pair but the
    first (`pairOf`).
  }];
  let parameters = (ins "int64_t":$c, "int64_t":$e, "int64_t":$t, "int64_t":$q, DefaultValuedParameter<"int64_t", "0">:$p,
                        OptionalArrayRefParameter<"int64_t">:$ts, OptionalArrayRefParameter<"int64_t">:$qs);
  let hasCustomAssemblyFormat = 1; // `<c = 0, e = 0, t = 16, q = 0, p = 0, ts = [8], qs = [0, 4]>`, from `p` on what is not zero
  let extraClassDeclaration = [{
    /// Whether this many bytes hold `other` for every batch (an empty example included, so coefficient by coefficient).
    bool holds(SizeAttr other) const {
      auto covers = [](::llvm::ArrayRef<int64_t> own, ::llvm::ArrayRef<int64_t> others) {
        for (size_t i = 0; i < others.size(); ++i)
          if ((i < own.size() ? own[i] : 0) < others[i])
            return false;
        return true;
      };
      return getC() >= other.getC() && getE() >= other.getE() && getT() >= other.getT() && getQ() >= other.getQ() && getP() >= other.getP() &&
             covers(getTs(), other.getTs()) && covers(getQs(), other.getQs());
    }
    /// Bytes for a batch of `examples` whose sequences are all `length` long, without what each thread has.
    int64_t at(int64_t examples, int64_t length) const {
      int64_t t = getT(), q = getQ();
      for (int64_t more : getTs())
        t += more;
      for (int64_t more : getQs())
        q += more;
      return getC() + examples * (getE() + length * (t + length * q));
    }
    static SizeAttr get(::mlir::MLIRContext *context, int64_t c, int64_t e, int64_t t, int64_t q, int64_t p) {
      return get(context, c, e, t, q, p, {}, {});
    }
  }];
}
#endif
