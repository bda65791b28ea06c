// RUN: peft-opt --plan-form-kernels --plan-name-kernels %s | FileCheck %s
// Kernels that do the same share a function, whichever random site they have; one that does something else has its own. Nor does it matter in
// which order their ops stand and what they read comes: here it is that of their use, from the results back.
module {
  // CHECK: plan.kernel "rows" "rows_0"({{.*}}) sites [7]
  // CHECK: plan.kernel "rows" "rows_0"({{.*}}) sites [8]
  // CHECK: plan.kernel "rows" "rows_1"({{.*}}) sites []
  plan.program @train_step inputs ["x", "w"] results ["y"] {
  ^bb0(%x: !nn.tensor<example, [seq, 4], f32>, %w: !nn.tensor<[4, 4], f32>):
    %r = nn.random "uniform" like %x : !nn.tensor<example, [seq, 4], f32> site 7 per "token" -> !nn.tensor<example, [seq, 4], f32>
    %a = nn.mul %x, %r : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %p = plan.product "ay,zy->az" %a, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %t = nn.random "uniform" like %p : !nn.tensor<example, [seq, 4], f32> site 8 per "token" -> !nn.tensor<example, [seq, 4], f32>
    %b = nn.mul %p, %t : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %q = plan.product "ay,zy->az" %b, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %c = nn.tanh %q : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    plan.return %c : !nn.tensor<example, [seq, 4], f32>
  }

  // CHECK-LABEL: @eval
  // CHECK: plan.kernel "rows" "rows_[[SAME:[0-9]+]]"(%[[Y:[^,]*]], %[[X:[^,)]*]]) sites [4, 3]
  // CHECK: nn.random "uniform" {{.*}}site 0
  // CHECK: nn.random "uniform" {{.*}}site 1
  // CHECK: plan.kernel "rows" "rows_[[SAME]]"({{.*}}) sites [6, 5]
  plan.program @eval inputs ["x", "y", "w"] results ["a", "b"] {
  ^bb0(%x: !nn.tensor<example, [seq, 4], f32>, %y: !nn.tensor<example, [seq, 4], f32>, %w: !nn.tensor<[4, 4], f32>):
    %r = nn.random "uniform" like %x : !nn.tensor<example, [seq, 4], f32> site 3 per "token" -> !nn.tensor<example, [seq, 4], f32>
    %e = nn.mul %x, %r : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %t = nn.random "uniform" like %y : !nn.tensor<example, [seq, 4], f32> site 4 per "token" -> !nn.tensor<example, [seq, 4], f32>
    %s = nn.add %y, %t : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %a = nn.sub %s, %e : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %p = plan.product "ay,zy->az" %a, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %q = plan.product "ay,zy->az" %p, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %u = nn.random "uniform" like %p : !nn.tensor<example, [seq, 4], f32> site 6 per "token" -> !nn.tensor<example, [seq, 4], f32>
    %v = nn.add %p, %u : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %g = nn.random "uniform" like %q : !nn.tensor<example, [seq, 4], f32> site 5 per "token" -> !nn.tensor<example, [seq, 4], f32>
    %h = nn.mul %q, %g : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %b = nn.sub %v, %h : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    plan.return %a, %b : !nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>
  }
}
