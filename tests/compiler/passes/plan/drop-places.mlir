// RUN: peft-opt --plan-drop-places %s | FileCheck %s
// Nothing is left of where a CPU has put what; which steps stand together is.
module {
  // CHECK: plan.program @train_step inputs ["x"] results ["y"] {
  // CHECK: "tanh"(%{{[a-z0-9]*}}) with {} {plan.band = 0 : i64} : {{.*}} -> !plan.packed<example, [seq, 4], f32>{{$}}
  // CHECK: "exp"(%{{[a-z0-9]*}}) with {} {plan.band = 0 : i64} : {{.*}} -> !plan.packed<example, [seq, 4], f32>{{$}}
  plan.program @train_step inputs ["x"] results ["y"] slots [#plan.size<c = 0, e = 0, t = 0, q = 0, p = 1536>, #plan.size<c = 0, e = 0, t = 16, q = 0>] bands [96] {
  ^bb0(%x: !plan.packed<example, [seq, 4], f32>):
    %t = plan.step "aten" "tanh"(%x) slot 0 with {} {plan.band = 0 : i64} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
    %e = plan.step "aten" "exp"(%t) slot 1 with {} {plan.band = 0 : i64} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
    plan.return %e : !plan.packed<example, [seq, 4], f32>
  }
}
