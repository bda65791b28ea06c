// RUN: peft-opt --nn-derive-gradients --split-input-file %s | FileCheck %s
// x goes into the number twice, by a trained weight and as it is: the sum of both ways back. Nothing in front of x is differentiated, no parameter gets a gradient, and what
// comes of it is a constant.
// CHECK-LABEL: func.func @train
// CHECK: %[[W:.*]] = nn.param "W"
// CHECK: %[[X:.*]] = nn.tanh %arg0
// CHECK: %[[XW:.*]] = nn.contract "ay,zy->az" %[[X]], %[[W]]
// CHECK: %[[ONE:.*]] = nn.constant(1.0
// CHECK: %[[SEED:.*]] = nn.broadcast %[[ONE]] : {{.*}} -> !nn.tensor<example, [], f32>
// CHECK: nn.expand_dims %[[SEED]]
// CHECK: %[[CT:.*]] = nn.broadcast {{.*}} -> !nn.tensor<example, [seq, 4], f32>
// CHECK: %[[BACK:.*]] = nn.contract "az,zy->ay" %[[CT]], %[[W]] over_examples false
// CHECK: %[[SUM:.*]] = nn.add %[[CT]], %[[BACK]]
// CHECK-NOT: nn.contract
// CHECK: %[[G:.*]] = nn.stop_grad %[[SUM]]
// CHECK-NOT: nn.gradient
// CHECK: nn.mul %[[G]], %[[G]]
module {
  nn.parameter @W "method" trainable true : !nn.tensor<[4, 4], f32>
  func.func @train(%in: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [], f32> {nn.name = "loss"}) attributes {nn.mode = "train"} {
    %w = nn.param "W" : !nn.tensor<[4, 4], f32>
    %x = nn.tanh %in : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %xw = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %y = nn.add %xw, %x : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %loss = nn.reduce "sum" %y axes [0, 1] keep false over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [], f32>
    %g = nn.gradient %loss by %x : (!nn.tensor<example, [], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %gg = nn.mul %g, %g : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %term = nn.reduce "sum" %gg axes [0, 1] keep false over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [], f32>
    %both = nn.add %loss, %term : (!nn.tensor<example, [], f32>, !nn.tensor<example, [], f32>) -> !nn.tensor<example, [], f32>
    return %both : !nn.tensor<example, [], f32>
  }
}

// -----
// A gradient of a gradient: to the second, the first is a constant, of which stop_grad leaves nothing.
// CHECK-LABEL: func.func @train
// CHECK: %[[FIRST:.*]] = nn.stop_grad
// CHECK: %[[ZERO:.*]] = nn.constant(0.0
// CHECK: %[[NONE:.*]] = nn.broadcast %[[ZERO]] : {{.*}} -> !nn.tensor<example, [seq, 4], f32>
// CHECK: %[[SECOND:.*]] = nn.stop_grad %[[NONE]]
// CHECK: nn.mul %[[SECOND]], %[[FIRST]]
module {
  func.func @train(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "loss"}) attributes {nn.mode = "train"} {
    %xx = nn.mul %x, %x : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %value = nn.reduce "sum" %xx axes [0, 1] keep false over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [], f32>
    %g = nn.gradient %value by %x : (!nn.tensor<example, [], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %sum = nn.reduce "sum" %g axes [0, 1] keep false over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [], f32>
    %gg = nn.gradient %sum by %x : (!nn.tensor<example, [], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %both = nn.mul %gg, %g : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return %both : !nn.tensor<example, [seq, 4], f32>
  }
}
