// RUN: peft-opt --plan-assign-buffers %s | FileCheck %s
// A slot is taken over where its value dies, and never while it is still read; a parameter and an alias need none.
module {
  // CHECK: plan.program @chain {{.*}} slots [#plan.size<c = 0, e = 0, t = 16, q = 0>] {
  // CHECK: "param"() with
  // CHECK: "contract"({{.*}}) slot 0
  // CHECK: "tanh"({{.*}}) slot 0
  // CHECK: "exp"({{.*}}) slot 0
  plan.program @chain inputs ["x"] results ["y"] {
  ^bb0(%x: !plan.packed<example, [seq, 4], f32>):
    %w = plan.step "aten" "param"() with {name = "W"} : () -> !plan.packed<[4, 4], f32>
    %y = plan.step "gemm" "contract"(%x, %w) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
    %t = plan.step "aten" "tanh"(%y) with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
    %e = plan.step "aten" "exp"(%t) with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
    plan.return %e : !plan.packed<example, [seq, 4], f32>
  }

  // `%y` is read again behind `%t`, so `%t` has a place of its own.
  // CHECK: plan.program @fork {{.*}} slots [#plan.size<c = 0, e = 0, t = 16, q = 0>, #plan.size<c = 0, e = 0, t = 16, q = 0>] {
  // CHECK: "contract"({{.*}}) slot 0
  // CHECK: "tanh"({{.*}}) slot 1
  // CHECK: "mul"({{.*}}) slot {{[01]}}
  plan.program @fork inputs ["x"] results ["y"] {
  ^bb0(%x: !plan.packed<example, [seq, 4], f32>):
    %w = plan.step "aten" "param"() with {name = "W"} : () -> !plan.packed<[4, 4], f32>
    %y = plan.step "gemm" "contract"(%x, %w) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
    %t = plan.step "aten" "tanh"(%y) with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
    %m = plan.step "aten" "mul"(%t, %y) with {} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
    plan.return %m : !plan.packed<example, [seq, 4], f32>
  }

  // A value lives as long as an alias of it; a result to the end; a slot that is too small is not taken.
  // CHECK: plan.program @alias {{.*}} slots [#plan.size<c = 16, e = 0, t = 0, q = 0>, #plan.size<c = 4, e = 0, t = 0, q = 0>, #plan.size<c = 0, e = 0, t = 16, q = 0>, #plan.size<c = 0, e = 0, t = 16, q = 0>] {
  // CHECK: "exp"({{.*}}) slot 0
  // CHECK: "reduce"({{.*}}) slot 1
  // CHECK: "tanh"({{.*}}) slot 2
  // CHECK: "exp"({{.*}}) slot 3
  // CHECK: "add"({{.*}}) slot {{[23]}}
  plan.program @alias inputs ["x", "v"] results ["y", "s"] {
  ^bb0(%x: !plan.packed<example, [seq, 4], f32>, %v: !plan.packed<[4], f32>):
    %small = plan.step "aten" "exp"(%v) with {} : (!plan.packed<[4], f32>) -> !plan.packed<[4], f32>
    %done = plan.step "aten" "reduce"(%small) with {axes = [0], keep = true, kind = "sum", over_examples = false} : (!plan.packed<[4], f32>) -> !plan.packed<[1], f32>
    %t = plan.step "aten" "tanh"(%x) with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
    %h = plan.alias "split" %t : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 2, 2], f32>
    %e = plan.step "aten" "exp"(%x) with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
    %g = plan.alias "split" %e : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 2, 2], f32>
    %y = plan.step "aten" "add"(%h, %g) with {} : (!plan.packed<example, [seq, 2, 2], f32>, !plan.packed<example, [seq, 2, 2], f32>) -> !plan.packed<example, [seq, 2, 2], f32>
    plan.return %y, %done : !plan.packed<example, [seq, 2, 2], f32>, !plan.packed<[1], f32>
  }

  // Of a streamed program a result is taken where it is made: the next one lies in its place, but for what is read again.
  // CHECK: plan.program @stream {{.*}} slots [#plan.size<c = 16, e = 0, t = 0, q = 0>, #plan.size<c = 16, e = 0, t = 0, q = 0>] streamed {
  // CHECK: "exp"({{.*}}) slot 0
  // CHECK: "tanh"({{.*}}) slot 1
  // CHECK: "sin"({{.*}}) slot 1
  // CHECK: "mul"({{.*}}) slot {{[01]}}
  plan.program @stream inputs ["v"] results ["a", "b", "c", "d"] streamed {
  ^bb0(%v: !plan.packed<[4], f32>):
    %a = plan.step "aten" "exp"(%v) with {} : (!plan.packed<[4], f32>) -> !plan.packed<[4], f32>
    %b = plan.step "aten" "tanh"(%v) with {} : (!plan.packed<[4], f32>) -> !plan.packed<[4], f32>
    %c = plan.step "aten" "sin"(%v) with {} : (!plan.packed<[4], f32>) -> !plan.packed<[4], f32>
    %d = plan.step "aten" "mul"(%a, %v) with {} : (!plan.packed<[4], f32>, !plan.packed<[4], f32>) -> !plan.packed<[4], f32>
    plan.return %a, %b, %c, %d : !plan.packed<[4], f32>, !plan.packed<[4], f32>, !plan.packed<[4], f32>, !plan.packed<[4], f32>
  }
}
