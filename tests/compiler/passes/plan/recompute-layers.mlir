// RUN: peft-opt --plan-open-programs --plan-recompute-layers --split-input-file %s | FileCheck %s
// Backward reads the inner values of the first layer from clones of its forward, made where it first needs them; what a layer begins with and what is of the
// whole run is kept, and the second layer's values are, because only one layer is asked for. Functions lose the marks and nothing else.
module attributes {plan.recompute = 1 : i64} {
  nn.parameter @A "method" trainable true : !nn.tensor<[4], f32>
  // CHECK-LABEL: func.func @train_step
  // CHECK-NOT: layer.0
  // CHECK: nn.exp
  // CHECK: nn.exp
  // CHECK-NOT: nn.exp
  // CHECK-LABEL: plan.program @train_step
  // CHECK-SAME: results ["loss", "grad.A"]
  // CHECK: %[[A:.*]] = nn.param "A"
  // CHECK: %[[AA:.*]] = nn.mul %[[A]], %[[A]]
  // CHECK: %[[X:.*]] = nn.neg
  // CHECK: %[[M:.*]] = nn.mul %[[X]], %[[AA]]
  // CHECK: %[[E:.*]] = nn.exp %[[M]]
  // CHECK: %[[Y:.*]] = nn.add %[[E]], %[[X]]
  // CHECK: %[[F:.*]] = nn.exp %[[Y]]
  // CHECK: %[[Z:.*]] = nn.tanh %[[F]]
  // CHECK: %[[LOSS:.*]] = nn.reduce "sum" %[[Z]]
  // CHECK: nn.mul %[[F]], %[[Z]]
  // CHECK: %[[AGAIN:.*]] = nn.mul %[[X]], %[[AA]]
  // CHECK: %[[EAGAIN:.*]] = nn.exp %[[AGAIN]]
  // CHECK: nn.mul %{{.*}}, %[[EAGAIN]]
  // CHECK: nn.mul %{{.*}}, %[[Y]]
  // CHECK-NOT: nn.exp
  // CHECK: plan.return
  func.func @train_step(%row: !nn.tensor<example, [4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [], f32> {nn.name = "loss"}, !nn.tensor<example, [4], f32> {nn.name = "layer.0.in"},
      !nn.tensor<example, [4], f32> {nn.name = "layer.0.out"}, !nn.tensor<example, [4], f32> {nn.name = "layer.1.in"}, !nn.tensor<example, [4], f32> {nn.name = "layer.1.out"}, !nn.tensor<[4], f32> {nn.name = "grad.A"}) {
    %a = nn.param "A" : !nn.tensor<[4], f32>
    %aa = nn.mul %a, %a : (!nn.tensor<[4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<[4], f32>
    %x = nn.neg %row : (!nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %m = nn.mul %x, %aa : (!nn.tensor<example, [4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [4], f32>
    %e = nn.exp %m : (!nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %y = nn.add %e, %x : (!nn.tensor<example, [4], f32>, !nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %f = nn.exp %y : (!nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %z = nn.tanh %f : (!nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %loss = nn.reduce "sum" %z axes [0] keep false over_examples false : (!nn.tensor<example, [4], f32>) -> !nn.tensor<example, [], f32>
    %g = nn.mul %f, %z : (!nn.tensor<example, [4], f32>, !nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %h = nn.mul %g, %e : (!nn.tensor<example, [4], f32>, !nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %i = nn.mul %h, %y : (!nn.tensor<example, [4], f32>, !nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %grad = nn.reduce "sum" %i axes [] keep false over_examples true : (!nn.tensor<example, [4], f32>) -> !nn.tensor<[4], f32>
    return %loss, %x, %y, %y, %z, %grad : !nn.tensor<example, [], f32>, !nn.tensor<example, [4], f32>, !nn.tensor<example, [4], f32>, !nn.tensor<example, [4], f32>, !nn.tensor<example, [4], f32>, !nn.tensor<[4], f32>
  }
}

// -----
// A way back that a method has asked for is none of forward, though the loss is made of what it gives: it reads a clone of the layer's inner value, and the later way back the same one.
// So does the way back of a second pass, which nothing else is made of.
module attributes {plan.recompute = 2 : i64} {
  nn.parameter @A "method" trainable true : !nn.tensor<[4], f32>
  // CHECK-LABEL: plan.program @train_step
  // CHECK: %[[X:.*]] = nn.neg
  // CHECK: %[[E:.*]] = nn.exp %[[X]]
  // CHECK: %[[Y:.*]] = nn.tanh %[[E]]
  // CHECK: %[[AGAIN:.*]] = nn.exp %[[X]]
  // CHECK: %[[BACK:.*]] = nn.mul %[[AGAIN]], %[[Y]]
  // CHECK: %[[G:.*]] = nn.stop_grad %[[BACK]]
  // CHECK: %[[X2:.*]] = nn.add %[[X]], %[[G]]
  // CHECK: %[[E2:.*]] = nn.exp %[[X2]]
  // CHECK: %[[Y2:.*]] = nn.tanh %[[E2]]
  // CHECK: %[[AGAIN2:.*]] = nn.exp %[[X2]]
  // CHECK: %[[BACK2:.*]] = nn.mul %[[AGAIN2]], %[[Y2]]
  // CHECK: %[[G2:.*]] = nn.stop_grad %[[BACK2]]
  // CHECK: nn.add %{{.*}}, %[[G2]]
  // CHECK: nn.mul %{{.*}}, %[[AGAIN]]
  // CHECK: plan.return
  func.func @train_step(%row: !nn.tensor<example, [4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [], f32> {nn.name = "loss"}, !nn.tensor<example, [4], f32> {nn.name = "layer.0.in"},
      !nn.tensor<example, [4], f32> {nn.name = "layer.0.out"}, !nn.tensor<example, [4], f32> {nn.name = "layer.1.in"}, !nn.tensor<example, [4], f32> {nn.name = "layer.1.out"}, !nn.tensor<[4], f32> {nn.name = "grad.A"}) {
    %a = nn.param "A" : !nn.tensor<[4], f32>
    %x = nn.neg %row : (!nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %e = nn.exp %x : (!nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %y = nn.tanh %e : (!nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %back = nn.mul %e, %y : (!nn.tensor<example, [4], f32>, !nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %g = nn.stop_grad %back {nn.way_back} : (!nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %ya = nn.mul %y, %a : (!nn.tensor<example, [4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [4], f32>
    %x2 = nn.add %x, %g : (!nn.tensor<example, [4], f32>, !nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %e2 = nn.exp %x2 : (!nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %y2 = nn.tanh %e2 : (!nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %back2 = nn.mul %e2, %y2 : (!nn.tensor<example, [4], f32>, !nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %g2 = nn.stop_grad %back2 {nn.way_back} : (!nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %moved = nn.add %ya, %g2 : (!nn.tensor<example, [4], f32>, !nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %loss = nn.reduce "sum" %moved axes [0] keep false over_examples false : (!nn.tensor<example, [4], f32>) -> !nn.tensor<example, [], f32>
    %h = nn.mul %back, %e : (!nn.tensor<example, [4], f32>, !nn.tensor<example, [4], f32>) -> !nn.tensor<example, [4], f32>
    %grad = nn.reduce "sum" %h axes [] keep false over_examples true : (!nn.tensor<example, [4], f32>) -> !nn.tensor<[4], f32>
    return %loss, %x, %y, %x2, %y2, %grad : !nn.tensor<example, [], f32>, !nn.tensor<example, [4], f32>, !nn.tensor<example, [4], f32>, !nn.tensor<example, [4], f32>, !nn.tensor<example, [4], f32>, !nn.tensor<[4], f32>
  }
}
