// RUN: peft-opt %s | peft-opt | FileCheck %s
// RUN: peft-opt %s -mlir-print-op-generic | peft-opt | FileCheck %s
// Every op of `plan` through its own text and the generic one.
module {
  // CHECK: plan.program @f inputs ["x"] results ["y"] slots [#plan.size<c = 0, e = 0, t = 16, q = 0>] {
  plan.program @f inputs ["x"] results ["y"] slots [#plan.size<c = 0, e = 0, t = 16, q = 0>] {
  ^bb0(%x: !plan.packed<example, [seq, 4], f32>):
    // CHECK: plan.step "aten" "tanh"(%{{.*}}) slot 0 with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
    %0 = plan.step "aten" "tanh"(%x) slot 0 with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
    // CHECK: plan.alias "split" %{{.*}} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 2, 2], f32>
    %1 = plan.alias "split" %0 : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 2, 2], f32>
    // CHECK: plan.return %
    plan.return %1 : !plan.packed<example, [seq, 2, 2], f32>
  }
  // CHECK: plan.program @g inputs ["x"] results ["y"] slots [#plan.size<c = 0, e = 0, t = 0, q = 0, p = 1536>, #plan.size<c = 0, e = 0, t = 16, q = 0>] bands [96] {
  plan.program @g inputs ["x"] results ["y"] slots [#plan.size<c = 0, e = 0, t = 0, q = 0, p = 1536>, #plan.size<c = 0, e = 0, t = 16, q = 0>] bands [96] {
  ^bb0(%x: !plan.packed<example, [seq, 4], f32>):
    %0 = plan.step "aten" "tanh"(%x) slot 0 with {} {plan.band = 0 : i64} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
    %1 = plan.step "aten" "exp"(%0) slot 1 with {} {plan.band = 0 : i64} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
    plan.return %1 : !plan.packed<example, [seq, 4], f32>
  }
}
