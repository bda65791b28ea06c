// RUN: peft-opt --plan-open-programs %s | FileCheck %s
// Beside a function stands a program that does the same; the function stays as it is.
module {
  // CHECK: func.func @f(
  // CHECK: nn.tanh
  // CHECK: plan.program @f inputs ["x"] results ["y"] {
  // CHECK: ^bb0(%[[X:.*]]: !nn.tensor<example, [seq, 4], f32>):
  // CHECK: %[[Y:.*]] = nn.tanh %[[X]]
  // CHECK: plan.return %[[Y]]
  func.func @f(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "y"}) {
    %y = nn.tanh %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return %y : !nn.tensor<example, [seq, 4], f32>
  }

  // CHECK: plan.program @g inputs [] results ["w"] streamed {
  func.func @g() -> (!nn.tensor<[], f32> {nn.name = "w"}) attributes {nn.streamed} {
    %w = nn.constant(0.0) : !nn.tensor<[], f32>
    return %w : !nn.tensor<[], f32>
  }
}
