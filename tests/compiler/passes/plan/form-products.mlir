// RUN: peft-opt --plan-form-products %s | FileCheck %s
// A contract that is one matrix product of the batch is a product; a product added to another one adds to its bytes, across a bias between them.
module {
  // CHECK: plan.program @branch
  // CHECK: %[[Y:.*]] = plan.product "ay,zy->az" %arg0, %arg1 over_examples false
  // CHECK: %[[SUM:.*]] = plan.product "ay,zy->az" %arg0, %arg2 plus %[[Y]] over_examples false
  // CHECK: nn.add %[[SUM]], %arg3
  plan.program @branch inputs ["x", "w", "u", "b"] results ["y"] {
  ^bb0(%x: !nn.tensor<example, [seq, 4], f32>, %w: !nn.tensor<[4, 4], f32>, %u: !nn.tensor<[4, 4], f32>, %b: !nn.tensor<[4], f32>):
    %y = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %biased = nn.add %y, %b : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %h = nn.contract "ay,zy->az" %x, %u over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %s = nn.add %biased, %h : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    plan.return %s : !nn.tensor<example, [seq, 4], f32>
  }

  // Somebody else reads the first product: it keeps its bytes.
  // CHECK: plan.program @shared
  // CHECK-NOT: plus
  // CHECK: nn.add
  plan.program @shared inputs ["x", "w", "u"] results ["y", "s"] {
  ^bb0(%x: !nn.tensor<example, [seq, 4], f32>, %w: !nn.tensor<[4, 4], f32>, %u: !nn.tensor<[4, 4], f32>):
    %y = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %h = nn.contract "ay,zy->az" %x, %u over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %s = nn.add %y, %h : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    plan.return %y, %s : !nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>
  }
}
