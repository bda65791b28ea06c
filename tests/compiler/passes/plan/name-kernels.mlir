// RUN: peft-opt --plan-form-kernels --plan-name-kernels %s | FileCheck %s
// Kernels that do the same share a function, whichever random site they have; one that does something else has its own.
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
}
