// RUN: peft-opt --nn-prune-to-trainable %s | FileCheck %s
// What no result needs is gone, equal ops are one, x * 1 and x + 0 are x; a random number is not its neighbour.
module {
  // CHECK-LABEL: func.func @f
  // CHECK: %[[W:.*]] = nn.param "W"
  // CHECK-NOT: nn.exp
  // CHECK: %[[Y:.*]] = nn.contract "ay,zy->az" %arg0, %[[W]]
  // CHECK: %[[T:.*]] = nn.tanh %[[Y]]
  // CHECK-NOT: nn.tanh
  // CHECK: %[[R:.*]] = nn.random {{.*}} site 1
  // CHECK: %[[S:.*]] = nn.random {{.*}} site 2
  // CHECK: %[[TT:.*]] = nn.mul %[[T]], %[[T]]
  // CHECK: nn.mul %[[R]], %[[S]]
  func.func @f(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "y"}, !nn.tensor<[4], f32> {nn.name = "r"}) {
    %w = nn.param "W" : !nn.tensor<[4, 4], f32>
    %dead = nn.exp %w : (!nn.tensor<[4, 4], f32>) -> !nn.tensor<[4, 4], f32>
    %y = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %one = nn.constant(1.0 : f64) : !nn.tensor<[], f32>
    %zero = nn.constant(0.0 : f64) : !nn.tensor<[], f32>
    %same = nn.mul %y, %one : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %again = nn.add %same, %zero : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %t = nn.tanh %y : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %u = nn.tanh %again : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %r = nn.random "uniform" site 1 per "pass" -> !nn.tensor<[4], f32>
    %s = nn.random "uniform" site 2 per "pass" -> !nn.tensor<[4], f32>
    %tu = nn.mul %t, %u : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %rs = nn.mul %r, %s : (!nn.tensor<[4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<[4], f32>
    return %tu, %rs : !nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>
  }
  nn.parameter @W "base" trainable false : !nn.tensor<[4, 4], f32>

  // -(-x), x / 1 and a broadcast to its own type are x; 1 / x is not.
  // CHECK-LABEL: func.func @g
  // CHECK-NOT: nn.neg
  // CHECK-NOT: nn.broadcast
  // CHECK: %[[ONE:.*]] = nn.constant(1.0
  // CHECK: %[[TWO:.*]] = nn.constant(2.0
  // CHECK: %[[INVERSE:.*]] = nn.div %[[ONE]], %arg0
  // CHECK: %[[TWICE:.*]] = nn.mul %[[INVERSE]], %[[TWO]]
  // CHECK: return %[[TWICE]]
  func.func @g(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "y"}) {
    %one = nn.constant(1.0 : f64) : !nn.tensor<[], f32>
    %two = nn.constant(2.0 : f64) : !nn.tensor<[], f32>
    %0 = nn.neg %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %1 = nn.neg %0 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %2 = nn.div %1, %one : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %3 = nn.broadcast %2 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %4 = nn.div %one, %3 : (!nn.tensor<[], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %5 = nn.mul %4, %two : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return %5 : !nn.tensor<example, [seq, 4], f32>
  }
}
