// RUN: peft-opt --nn-derive-backward --split-input-file %s | FileCheck %s
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

// -----
// (x Aᵀ + c) W Aᵀ: `A` is used twice and gets the sum of both uses, `c` what it was broadcast over; what the loss never sees gets zeros.
// CHECK: module attributes {nn.unreached = ["idle"]}
// CHECK-LABEL: func.func @train_step
// CHECK-SAME: {nn.name = "loss"}, {{.*}}{nn.name = "grad.A"}, {{.*}}{nn.name = "grad.c"}, {{.*}}{nn.name = "grad.idle"})
// CHECK: %[[A:.*]] = nn.param "A"
// CHECK: %[[W:.*]] = nn.param "W"
// CHECK: %[[HC:.*]] = nn.add
// CHECK: %[[Z:.*]] = nn.contract "az,zy->ay" %[[HC]], %[[W]]
// CHECK: %[[CT:.*]] = nn.broadcast {{.*}} -> !nn.tensor<example, [seq, 4], f32>
// CHECK: %[[CZ:.*]] = nn.contract "az,zy->ay" %[[CT]], %[[A]] over_examples false
// The gradient of a weight is one product over all tokens of the batch.
// CHECK: %[[LATE:.*]] = nn.contract "az,ay->zy" %[[CT]], %[[Z]] over_examples true {{.*}} -> !nn.tensor<[4, 6], f32>
// CHECK: %[[CH:.*]] = nn.contract "ay,zy->az" %[[CZ]], %[[W]] over_examples false
// CHECK: %[[C:.*]] = nn.reduce "sum" %[[CH]] axes [0] keep false over_examples true {{.*}} -> !nn.tensor<[4], f32>
// CHECK: %[[EARLY:.*]] = nn.contract "az,ay->zy" %[[CH]], %arg0 over_examples true
// CHECK: %[[SUM:.*]] = nn.add %[[LATE]], %[[EARLY]]
// CHECK: %[[ZERO:.*]] = nn.constant(0.0
// CHECK: %[[IDLE:.*]] = nn.broadcast %[[ZERO]]
// CHECK: return %{{.*}}, %[[SUM]], %[[C]], %[[IDLE]]
module {
  nn.parameter @W "base" trainable false : !nn.tensor<[4, 6], f32>
  nn.parameter @A "method" trainable true : !nn.tensor<[4, 6], f32>
  nn.parameter @c "method" trainable true : !nn.tensor<[4], f32>
  nn.parameter @idle "method" trainable true : !nn.tensor<[3], f32>
  func.func @train(%x: !nn.tensor<example, [seq, 6], f32> {nn.name = "x"}) -> (!nn.tensor<example, [], f32> {nn.name = "loss"}) attributes {nn.mode = "train"} {
    %A = nn.param "A" : !nn.tensor<[4, 6], f32>
    %W = nn.param "W" : !nn.tensor<[4, 6], f32>
    %c = nn.param "c" : !nn.tensor<[4], f32>
    %h = nn.contract "ay,zy->az" %x, %A over_examples false : (!nn.tensor<example, [seq, 6], f32>, !nn.tensor<[4, 6], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %hc = nn.add %h, %c : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %z = nn.contract "az,zy->ay" %hc, %W over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 6], f32>) -> !nn.tensor<example, [seq, 6], f32>
    %y = nn.contract "ay,zy->az" %z, %A over_examples false : (!nn.tensor<example, [seq, 6], f32>, !nn.tensor<[4, 6], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %loss = nn.reduce "sum" %y axes [0, 1] keep false over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [], f32>
    return %loss : !nn.tensor<example, [], f32>
  }
}
