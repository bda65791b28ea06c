// RUN: peft-opt --nn-derive-backward %s | FileCheck %s
// tanh(x Wᵀ * a + stop_grad(a)) with `a` trained and used twice: one gradient, of the use that is differentiated; W gets none.
module {
  nn.parameter @W "base" trainable false : !nn.tensor<[4, 4], f32>
  nn.parameter @a "method" trainable true : !nn.tensor<[4], f32>

  // CHECK-LABEL: func.func @train_step
  // CHECK-SAME: {nn.name = "loss"}, !nn.tensor<[4], f32> {nn.name = "grad.a"})
  // CHECK: %[[XW:.*]] = nn.contract "ay,zy->az"
  // CHECK: %[[T:.*]] = nn.tanh
  // CHECK: %[[LOSS:.*]] = nn.reduce "sum" %[[T]] axes [0, 1] keep false over_examples false
  // The cotangent of the loss is 1, spread over what was summed:
  // CHECK: %[[ONE:.*]] = nn.constant(1.0
  // CHECK: nn.broadcast %[[ONE]]
  // CHECK: %[[CT:.*]] = nn.broadcast {{.*}} -> !nn.tensor<example, [seq, 4], f32>
  // of tanh 1 - tanh², from the value that is there:
  // CHECK: %[[TT:.*]] = nn.mul %[[T]], %[[T]]
  // CHECK-NOT: nn.tanh
  // of the product with `a`, summed over the tokens of all examples:
  // CHECK: %[[DA:.*]] = nn.mul {{.*}}%[[XW]]
  // CHECK: %[[GRAD:.*]] = nn.reduce "sum" %[[DA]] axes [0] keep false over_examples true : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<[4], f32>
  // Nothing is differentiated in front of the first trained value:
  // CHECK-NOT: nn.contract
  // CHECK-NOT: nn.reduce
  // CHECK: return %[[LOSS]], %[[GRAD]]
  func.func @train(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [], f32> {nn.name = "loss"}) attributes {nn.mode = "train"} {
    %w = nn.param "W" : !nn.tensor<[4, 4], f32>
    %a = nn.param "a" : !nn.tensor<[4], f32>
    %xw = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %scaled = nn.mul %xw, %a : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %pinned = nn.stop_grad %a : (!nn.tensor<[4], f32>) -> !nn.tensor<[4], f32>
    %y = nn.add %scaled, %pinned : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %t = nn.tanh %y : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %loss = nn.reduce "sum" %t axes [0, 1] keep false over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [], f32>
    return %loss : !nn.tensor<example, [], f32>
  }
}
