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
  let parameters = (ins "bool":$example, ArrayRefParameter<"::mlir::plan::Dim">:$dims, "::mlir::Type":$element);
  let hasCustomAssemblyFormat = 1;
}

def Plan_DimAttr : AttrDef<Plan_Dialect, "Dim"> {
  let mnemonic = "dim";
  let summary = "`c + k * seq`";
  let parameters = (ins "int64_t":$constant, "int64_t":$scale);
  let assemblyFormat = "`<` $constant `,` $scale `>`";
}

def Plan_SizeAttr : AttrDef<Plan_Dialect, "Size"> {
  let mnemonic = "size";
  let summary = "bytes: `c + e * examples + t * tokens + q * (sum of seq * seq) + p * threads`";
  let parameters = (ins "int64_t":$c, "int64_t":$e, "int64_t":$t, "int64_t":$q, DefaultValuedParameter<"int64_t", "0">:$p);
  let assemblyFormat = "`<` `c` `=` $c `,` `e` `=` $e `,` `t` `=` $t `,` `q` `=` $q (`,` `p` `=` $p^)? `>`";
  let extraClassDeclaration = [{
    /// Whether this many bytes hold `other` for every batch (an empty example included, so coefficient by coefficient).
    bool holds(SizeAttr other) const {
      return getC() >= other.getC() && getE() >= other.getE() && getT() >= other.getT() && getQ() >= other.getQ() && getP() >= other.getP();
    }
    /// Bytes for a batch of `examples` texts that are `length` long, without what each thread has.
    int64_t at(int64_t examples, int64_t length) const {
      return getC() + examples * (getE() + length * (getT() + length * getQ()));
    }
  }];
}
#endif
