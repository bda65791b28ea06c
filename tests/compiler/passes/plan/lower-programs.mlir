// RUN: peft-opt --plan-lower-programs %s | FileCheck %s
// A step for each op: products that are one matrix product are `gemm`s, what only names the same blocks anew an alias.
module {
  nn.parameter @W "base" trainable false : !nn.tensor<[4, 4], f32>
  // CHECK: func.func @f
  // CHECK: plan.program @f inputs ["x"] results ["y", "r"] {
  // CHECK: ^bb0(%[[X:.*]]: !plan.packed<example, [seq, 4], f32>):
  // CHECK: %[[W:.*]] = plan.step "aten" "param"() with {name = "W"}
  // CHECK: %[[Y:.*]] = plan.step "gemm" "contract"(%[[X]], %[[W]]) with {equation = "ay,zy->az", over_examples = false}
  // CHECK: %[[H:.*]] = plan.alias {{.*}}%[[Y]]{{.*}} -> !plan.packed<example, [seq, 2, 2], f32>
  // Scores of an example's tokens with each other are no single matrix product of the batch.
  // CHECK: %[[S:.*]] = plan.step "aten" "contract"(%[[H]], %[[H]])
  // CHECK: %[[R:.*]] = plan.step "random" "random"
  // CHECK: plan.return %[[S]], %[[R]]
  func.func @f(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [2, seq, seq], f32> {nn.name = "y"}, !nn.tensor<[4], f32> {nn.name = "r"}) {
    %w = nn.param "W" : !nn.tensor<[4, 4], f32>
    %y = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %h = nn.split %y axis 1 into [2, 2] : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 2, 2], f32>
    %s = nn.contract "ahd,bhd->hab" %h, %h over_examples false : (!nn.tensor<example, [seq, 2, 2], f32>, !nn.tensor<example, [seq, 2, 2], f32>) -> !nn.tensor<example, [2, seq, seq], f32>
    %r = nn.random "uniform" site 1 per "pass" -> !nn.tensor<[4], f32>
    return %s, %r : !nn.tensor<example, [2, seq, seq], f32>, !nn.tensor<[4], f32>
  }
}
