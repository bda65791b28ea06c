// The `nn` dialect: the mathematics of one pass, on one example's values.
#ifndef PEFT_NN_DIALECT
#define PEFT_NN_DIALECT
include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"

def NN_Dialect : Dialect {
  let name = "nn";
  let cppNamespace = "::mlir::nn";
  let summary = "Value-semantic tensor mathematics; batch is implicit";
  let description = [{
    A value is one example's (`example`) or the same for the whole run (`run`). Dims are integers or `c + k * seq`, seq being
    the length of one of the example's sequences (`seq1`: of the second). Ops are few and have no regions; composites are written in the prelude. Elementwise ops broadcast
    right-aligned, and a `run` operand beside an `example` one serves every example.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

def NN_Tensor : TypeDef<NN_Dialect, "NN"> {
  let mnemonic = "tensor";
  let summary = "a dense value of one example or of the run";
  let parameters = (ins "bool":$example, ArrayRefParameter<"::mlir::nn::Dim">:$dims, "::mlir::Type":$element);
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    int64_t rank() const { return static_cast<int64_t>(getDims().size()); }
    bool isStatic() const;      ///< no dim depends on seq
    bool isFloat() const;
    bool isInteger() const;     ///< i64
    bool isBool() const;        ///< i1
    /// Elements of one example, when static.
    int64_t elements() const;
    NNType withDims(::llvm::ArrayRef<Dim> dims) const;
    NNType withElement(::mlir::Type element) const;
    NNType withExample(bool example) const;
    /// Whether axis `i` is of the same length in both.
    bool sameShape(NNType other) const;
  }];
}

def NN_DimAttr : AttrDef<NN_Dialect, "Dim"> {
  let mnemonic = "dim";
  let summary = "`c + k * seq`, of a sequence";
  let parameters = (ins "int64_t":$constant, "int64_t":$scale, DefaultValuedParameter<"int64_t", "0">:$sequence);
  let assemblyFormat = "`<` $constant `,` $scale (`,` $sequence^)? `>`";
  let extraClassDeclaration = [{
    Dim dim() const { return Dim{getConstant(), getScale(), getSequence()}; }
    static DimAttr get(::mlir::MLIRContext *context, Dim dim) { return get(context, dim.constant, dim.scale, dim.sequence); }
    static DimAttr get(::mlir::MLIRContext *context, int64_t constant) { return get(context, constant, 0, 0); }
  }];
}
#endif
