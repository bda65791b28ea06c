// Ops of the `nn` dialect. The table in runtime/bundle/README.md is the same list as the runtime sees it.
#ifndef PEFT_NN_OPS
#define PEFT_NN_OPS
include "NnDialect.td"
include "NnInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"

class NN_Op<string mnemonic, list<Trait> traits = []> : Op<NN_Dialect, mnemonic, !listconcat([Pure], traits)>;
class NN_InferredOp<string mnemonic, list<Trait> traits = []>
    : NN_Op<mnemonic, !listconcat([DeclareOpInterfaceMethods<InferTypeOpInterface>], traits)> {
  let results = (outs NN_Tensor:$result);
}
defvar NN_Diff = DeclareOpInterfaceMethods<NN_Differentiable>;
defvar NN_Rate = DeclareOpInterfaceMethods<NN_Rated>;
defvar NN_Affine = DeclareOpInterfaceMethods<NN_AffineIn>;
defvar NN_Structure = DeclareOpInterfaceMethods<NN_Structured>;
defvar NN_Grow = DeclareOpInterfaceMethods<NN_Growing>;
defvar NN_GrowAlong = DeclareOpInterfaceMethods<NN_Growing, ["newest"]>;

// ---- declarations --------------------------------------------------------------------------------------------------

def NN_ParameterOp : Op<NN_Dialect, "parameter", [Symbol]> {
  let summary = "declares a parameter of the model at the module's top level";
  let description = [{
    `role`: `base` (read from the checkpoint), `new` (made by arch or task, not in the checkpoint), `method` (made by an attach),
    `frozen` (random, made again from the seed), `buffer`. `checkpoint`: its name there. `attach`: index of the attach that made it,
    -1 otherwise. How it starts is a result of the function `@init`, by the same name.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<NN_Tensor>:$type, StrAttr:$role, BoolAttr:$trainable,
                       OptionalAttr<StrAttr>:$checkpoint, DefaultValuedAttr<I64Attr, "-1">:$attach);
  let assemblyFormat = "$sym_name $role `trainable` $trainable `:` $type attr-dict";
}

// ---- leaves --------------------------------------------------------------------------------------------------------

def NN_ParamOp : NN_Op<"param", [NN_Rate, NN_Movement, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a parameter of the model by its name";
  let description = "The module declares it (`nn.parameter`), with this type.";
  let arguments = (ins StrAttr:$name);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "$name attr-dict `:` qualified(type($result))";
  let hasVerifier = 1;
}
def NN_ConstantOp : NN_Op<"constant", [NN_Movement]> {
  let summary = "a scalar";
  let description = "`value`: a float (f32), an integer (i64) or a bool (i1). The result is `run`, of rank 0.";
  let arguments = (ins AnyAttrOf<[F64Attr, I64Attr, BoolAttr]>:$value);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "`(` $value `)` attr-dict `:` qualified(type($result))";
  let hasVerifier = 1;
}
def NN_LiteralOp : NN_Op<"literal", [NN_Movement]> {
  let summary = "an array of numbers known when compiling";
  let arguments = (ins DenseF64ArrayAttr:$values);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "$values attr-dict `:` qualified(type($result))";
  let hasVerifier = 1;
}
def NN_IotaOp : NN_InferredOp<"iota", [NN_GrowAlong]> {
  let summary = "0 … n-1, n the length of an axis of the operand";
  let arguments = (ins NN_Tensor:$like, I64Attr:$axis);
  let assemblyFormat = "$like `axis` $axis attr-dict `:` functional-type(operands, results)";
}
def NN_DimOp : NN_InferredOp<"dim", [NN_GrowAlong]> {
  let summary = "the length of an axis of the operand, an i64 scalar";
  let arguments = (ins NN_Tensor:$like, I64Attr:$axis);
  let assemblyFormat = "$like `axis` $axis attr-dict `:` functional-type(operands, results)";
}
def NN_RandomOp : NN_Op<"random", [NN_Rate]> {
  let summary = "uniform in [0, 1) (`uniform`, or `uniform16`: multiples of 1 / 65536) or standard normal numbers";
  let description = [{
    `site` tells this sampling place from all others; `rate` says when the numbers change: `token`, `example`, `pass`, `step`, `init`.
    With an operand the result has its shape and level; otherwise it is `run` with static dims.
  }];
  let arguments = (ins Optional<NN_Tensor>:$like, StrAttr:$dist, I64Attr:$site, StrAttr:$rate);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "$dist (`like` $like^ `:` type($like))? `site` $site `per` $rate attr-dict `->` qualified(type($result))";
  let hasVerifier = 1;
}
def NN_ByModeOp : NN_InferredOp<"by_mode"> {
  let summary = "one value in training, another in all other programs";
  let arguments = (ins NN_Tensor:$train, NN_Tensor:$infer);
  let assemblyFormat = "$train `,` $infer attr-dict `:` functional-type(operands, results)";
}

def NN_OriginOp : NN_InferredOp<"origin"> {
  let summary = "for each entry of the first axis which row of `of` it belongs to; negative for entries that were joined to it";
  let description = [{
    `x` is `of`'s rows with other entries concatenated before or behind them; where they stand is known once all rewirings are
    inlined, so no program holds this op.
  }];
  let arguments = (ins NN_Tensor:$x, NN_Tensor:$of);
  let assemblyFormat = "$x `,` $of attr-dict `:` functional-type(operands, results)";
}

def NN_AllRowsOp : NN_InferredOp<"all_rows"> {
  let summary = "what all rows of the data have of the operand, one after the other";
  let description = [{
    Joined along the operand's first axis where that is as long as the row says, else stacked along a new one. A metric's last part
    reads it, as if the whole data were one example; `import` makes that part a function of its own, so no program holds this op.
  }];
  let arguments = (ins NN_Tensor:$x);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}

def NN_SiblingsOp : NN_InferredOp<"siblings", [NN_Diff]> {
  let summary = "what all examples of the same row have, along a new first axis";
  let description = "A row is `siblings` successive examples of the batch.";
  let arguments = (ins NN_Tensor:$x, I64Attr:$siblings);
  let assemblyFormat = "$x `of` $siblings attr-dict `:` functional-type(operands, results)";
}
def NN_SumSiblingsOp : NN_InferredOp<"sum_siblings", [NN_Diff]> {
  let summary = "siblings' transpose: the sum over a row's examples of the entry that each has for this one";
  let arguments = (ins NN_Tensor:$x, I64Attr:$siblings);
  let assemblyFormat = "$x `of` $siblings attr-dict `:` functional-type(operands, results)";
}

// ---- elementwise ---------------------------------------------------------------------------------------------------

class NN_Unary<string mnemonic, list<Trait> traits = []> : NN_InferredOp<mnemonic, !listconcat([NN_Diff, NN_Grow], traits)> {
  let arguments = (ins NN_Tensor:$x);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}
class NN_Binary<string mnemonic, list<Trait> traits = [NN_Diff]> : NN_InferredOp<mnemonic, !listconcat([NN_Grow], traits)> {
  let arguments = (ins NN_Tensor:$x, NN_Tensor:$y);
  let assemblyFormat = "$x `,` $y attr-dict `:` functional-type(operands, results)";
}
class NN_Compare<string mnemonic> : NN_Binary<mnemonic, []>;

def NN_NegOp : NN_Unary<"neg", [NN_Affine, NN_Structure]>;
def NN_ExpOp : NN_Unary<"exp">;
def NN_LogOp : NN_Unary<"log">;
def NN_SqrtOp : NN_Unary<"sqrt">;
def NN_RsqrtOp : NN_Unary<"rsqrt">;
def NN_TanhOp : NN_Unary<"tanh">;
def NN_ErfOp : NN_Unary<"erf">;
def NN_SinOp : NN_Unary<"sin">;
def NN_CosOp : NN_Unary<"cos">;
def NN_AbsOp : NN_Unary<"abs">;
def NN_SignOp : NN_Unary<"sign">;
def NN_FloorOp : NN_Unary<"floor">;
def NN_NotOp : NN_InferredOp<"not", [NN_Grow]> {
  let arguments = (ins NN_Tensor:$x);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}
def NN_CastOp : NN_InferredOp<"cast", [NN_Diff, NN_Grow]> {
  let summary = "to another element type; bools become 0 and 1";
  let arguments = (ins NN_Tensor:$x, TypeAttr:$to);
  let assemblyFormat = "$x `to` $to attr-dict `:` functional-type(operands, results)";
}
def NN_AddOp : NN_Binary<"add", [NN_Diff, NN_Affine, NN_Structure]>;
def NN_SubOp : NN_Binary<"sub", [NN_Diff, NN_Affine, NN_Structure]>;
def NN_MulOp : NN_Binary<"mul", [NN_Diff, NN_Affine, NN_Structure]>;
def NN_DivOp : NN_Binary<"div", [NN_Diff, NN_Affine, NN_Structure]>;
def NN_PowOp : NN_Binary<"pow">;
def NN_MaxOp : NN_Binary<"max">;
def NN_MinOp : NN_Binary<"min">;
def NN_LtOp : NN_Compare<"lt">;
def NN_LeOp : NN_Compare<"le">;
def NN_EqOp : NN_Compare<"eq">;
def NN_NeOp : NN_Compare<"ne">;
def NN_GtOp : NN_Compare<"gt">;
def NN_GeOp : NN_Compare<"ge">;
def NN_AndOp : NN_Compare<"and">;
def NN_OrOp : NN_Compare<"or">;
def NN_SelectOp : NN_InferredOp<"select", [NN_Diff, NN_Grow]> {
  let arguments = (ins NN_Tensor:$condition, NN_Tensor:$x, NN_Tensor:$y);
  let assemblyFormat = "$condition `,` $x `,` $y attr-dict `:` functional-type(operands, results)";
}
def NN_StopGradOp : NN_InferredOp<"stop_grad", [NN_Movement, NN_Affine, NN_Grow]> {
  let summary = "the operand; reverse mode does not look behind it";
  let arguments = (ins NN_Tensor:$x);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}

def NN_GradientOp : NN_InferredOp<"gradient"> {
  let summary = "the derivative of the sum of a number over the batch's examples by a value of each example, a constant to reverse mode";
  let description = [{
    `value` is one real number, made of `x` among others, which is of each example. Which operations lie between them is known once all rewirings are
    inlined, so no program holds this op.
  }];
  let arguments = (ins NN_Tensor:$value, NN_Tensor:$x);
  let assemblyFormat = "$value `by` $x attr-dict `:` functional-type(operands, results)";
}

// ---- reductions and products ---------------------------------------------------------------------------------------

def NN_ReduceOp : NN_InferredOp<"reduce", [NN_Diff, NN_Affine, NN_GrowAlong]> {
  let summary = "sum, max or min over axes, and over the batch's examples where asked";
  let arguments = (ins NN_Tensor:$x, StrAttr:$kind, DenseI64ArrayAttr:$axes, BoolAttr:$keep, BoolAttr:$over_examples);
  let assemblyFormat = "$kind $x `axes` $axes `keep` $keep `over_examples` $over_examples attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
def NN_ArgmaxOp : NN_InferredOp<"argmax", [NN_GrowAlong]> {
  let arguments = (ins NN_Tensor:$x, I64Attr:$axis);
  let assemblyFormat = "$x `axis` $axis attr-dict `:` functional-type(operands, results)";
}
def NN_RanksOp : NN_InferredOp<"ranks"> {
  let summary = "the place of each entry among those along an axis in rising order, from 1; equal ones share the mean of theirs";
  let arguments = (ins NN_Tensor:$x, I64Attr:$axis);
  let assemblyFormat = "$x `axis` $axis attr-dict `:` functional-type(operands, results)";
}
def NN_OrderOp : NN_InferredOp<"order"> {
  let summary = "the indices that put an axis into rising order, equal entries as they stand";
  let arguments = (ins NN_Tensor:$x, I64Attr:$axis);
  let assemblyFormat = "$x `axis` $axis attr-dict `:` functional-type(operands, results)";
}
def NN_ContractOp : NN_InferredOp<"contract", [NN_Diff, NN_Affine, NN_Structure, NN_GrowAlong]> {
  let summary = "a product summed over the letters that the result lacks";
  let description = [{
    `equation` is `"ab,cb->ac"`: one letter an axis, none twice in one operand. Letters in both operands and the result are batch
    axes. `over_examples` makes a `run` result, summed over the batch's examples.
  }];
  let arguments = (ins NN_Tensor:$x, NN_Tensor:$y, StrAttr:$equation, BoolAttr:$over_examples);
  let assemblyFormat = "$equation $x `,` $y `over_examples` $over_examples attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
def NN_InverseOp : NN_InferredOp<"inverse", [NN_Diff]> {
  let summary = "the inverse of each matrix that the last two axes hold; not a number where there is none";
  let arguments = (ins NN_Tensor:$x);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}

// ---- shapes --------------------------------------------------------------------------------------------------------

def NN_TransposeOp : NN_InferredOp<"transpose", [NN_Diff, NN_Movement, NN_Affine, NN_Structure, NN_GrowAlong]> {
  let arguments = (ins NN_Tensor:$x, DenseI64ArrayAttr:$perm);
  let assemblyFormat = "$x $perm attr-dict `:` functional-type(operands, results)";
}
def NN_SplitOp : NN_InferredOp<"split", [NN_Diff, NN_Movement, NN_Affine, NN_GrowAlong]> {
  let summary = "one axis becomes several";
  let description = "One of the sizes may be -1: what is left of the length.";
  let arguments = (ins NN_Tensor:$x, I64Attr:$axis, DenseI64ArrayAttr:$sizes);
  let assemblyFormat = "$x `axis` $axis `into` $sizes attr-dict `:` functional-type(operands, results)";
}
def NN_MergeOp : NN_InferredOp<"merge", [NN_Diff, NN_Movement, NN_Affine, NN_GrowAlong]> {
  let summary = "several adjacent axes become one";
  let arguments = (ins NN_Tensor:$x, I64Attr:$axis, I64Attr:$count);
  let assemblyFormat = "$x `axis` $axis `count` $count attr-dict `:` functional-type(operands, results)";
}
def NN_ExpandDimsOp : NN_InferredOp<"expand_dims", [NN_Diff, NN_Movement, NN_Affine, NN_GrowAlong]> {
  let arguments = (ins NN_Tensor:$x, I64Attr:$axis);
  let assemblyFormat = "$x `axis` $axis attr-dict `:` functional-type(operands, results)";
}
def NN_SqueezeOp : NN_InferredOp<"squeeze", [NN_Diff, NN_Movement, NN_Affine, NN_GrowAlong]> {
  let arguments = (ins NN_Tensor:$x, I64Attr:$axis);
  let assemblyFormat = "$x `axis` $axis attr-dict `:` functional-type(operands, results)";
}
def NN_BroadcastOp : NN_Op<"broadcast", [NN_Diff, NN_Movement, NN_GrowAlong]> {
  let summary = "to the result's type: right-aligned, and from run to example";
  let arguments = (ins NN_Tensor:$x);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
def NN_SliceOp : NN_InferredOp<"slice", [NN_Diff, NN_Movement, NN_Affine, NN_GrowAlong]> {
  let summary = "every `step`-th entry of an axis from `start` up to `stop`";
  let description = "A negative constant counts from the end, as in Python; a missing `stop` is the end.";
  let arguments = (ins NN_Tensor:$x, I64Attr:$axis, NN_DimAttr:$start, OptionalAttr<NN_DimAttr>:$stop, I64Attr:$step);
  let assemblyFormat = "$x `axis` $axis `from` $start (`to` $stop^)? `step` $step attr-dict `:` functional-type(operands, results)";
}
def NN_PadOp : NN_Op<"pad", [NN_Diff, NN_Movement]> {
  let summary = "slice's transpose: zeros of the result's length with the operand at `lo`, `lo + step`, …";
  let arguments = (ins NN_Tensor:$x, I64Attr:$axis, NN_DimAttr:$lo, I64Attr:$step);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "$x `axis` $axis `at` $lo `step` $step attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
def NN_RollOp : NN_InferredOp<"roll", [NN_Diff, NN_Movement, NN_Affine, NN_GrowAlong]> {
  let summary = "an axis turned: entry i is the operand's entry i + by, beyond the end from the front again";
  let arguments = (ins NN_Tensor:$x, I64Attr:$axis, I64Attr:$by);
  let assemblyFormat = "$x `axis` $axis `by` $by attr-dict `:` functional-type(operands, results)";
}
def NN_RepeatOp : NN_InferredOp<"repeat", [NN_Diff, NN_Movement, NN_Affine, NN_GrowAlong]> {
  let summary = "each entry of an axis `times` times in succession";
  let arguments = (ins NN_Tensor:$x, I64Attr:$axis, I64Attr:$times);
  let assemblyFormat = "$x `axis` $axis `times` $times attr-dict `:` functional-type(operands, results)";
}
def NN_ConcatOp : NN_InferredOp<"concat", [NN_Diff, NN_Movement, NN_GrowAlong]> {
  let arguments = (ins Variadic<NN_Tensor>:$xs, I64Attr:$axis);
  let assemblyFormat = "$xs `axis` $axis attr-dict `:` functional-type(operands, results)";
}
def NN_PutLastOp : NN_InferredOp<"put_last"> {
  let summary = "the operand with its last entries along an axis replaced";
  let description = "What a longer text adds joins what was kept of it when it was shorter: the operand has room for both.";
  let arguments = (ins NN_Tensor:$x, NN_Tensor:$entries, I64Attr:$axis);
  let assemblyFormat = "$x `,` $entries `axis` $axis attr-dict `:` functional-type(operands, results)";
}
def NN_GatherOp : NN_InferredOp<"gather", [NN_Diff, NN_Movement, NN_GrowAlong]> {
  let summary = "rows of a table: the indices' dims, then the table's without its first";
  let arguments = (ins NN_Tensor:$table, NN_Tensor:$indices);
  let assemblyFormat = "$table `,` $indices attr-dict `:` functional-type(operands, results)";
}
def NN_ScatterAddOp : NN_InferredOp<"scatter_add", [NN_Diff]> {
  let summary = "zeros with `updates` added at `indices`; gather's transpose";
  let arguments = (ins NN_Tensor:$indices, NN_Tensor:$updates, NN_DimAttr:$rows, BoolAttr:$over_examples);
  let assemblyFormat = "$indices `,` $updates `rows` $rows `over_examples` $over_examples attr-dict `:` functional-type(operands, results)";
}
#endif
