// The `peft` dialect: what is attached where.
#ifndef PEFT_PEFT_DIALECT
#define PEFT_PEFT_DIALECT
include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"

def PEFT_Dialect : Dialect {
  let name = "peft";
  let cppNamespace = "::mlir::peft";
  let summary = "The module tree of a network, and what is attached to which of its sites";
  let description = [{
    A network is a flat list of `peft.module`s named by their paths, each with the region that computes it; points are the named
    values in it. A `peft.attach` is a statement of the program; a `peft.instance` is what it does at one site: a region that reads
    points and rewires them. Bodies hold ops of other dialects; this one knows none of them.
  }];
}
#endif
