// RUN: peft-opt --nn-hoist-rates %s | FileCheck %s
// What is made of frozen numbers leaves the step, what is made of trainables as well leaves the programs that only read them;
// a view of a weight stays, and so does what would not be smaller than its parameters.
module {
  nn.parameter @W "base" trainable false : !nn.tensor<[64, 64], f32>
  nn.parameter @m "method" trainable true : !nn.tensor<[64], f32>

  // CHECK-LABEL: func.func @train_step.constant()
  // CHECK-SAME: -> (!nn.tensor<[64], f32> {nn.name = "derived.0"})
  // CHECK: nn.mul
  // CHECK: %[[NORM:.*]] = nn.reduce
  // CHECK: return %[[NORM]]
  // CHECK-LABEL: func.func @train_step
  // CHECK-SAME: {nn.name = "derived.0"}
  // CHECK-NOT: nn.reduce
  // CHECK: nn.transpose
  // CHECK: nn.param "m"
  // CHECK: nn.mul
  func.func @train_step(%x: !nn.tensor<example, [seq, 64], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 64], f32> {nn.name = "y"}) {
    %w = nn.param "W" : !nn.tensor<[64, 64], f32>
    %ww = nn.mul %w, %w : (!nn.tensor<[64, 64], f32>, !nn.tensor<[64, 64], f32>) -> !nn.tensor<[64, 64], f32>
    %norm = nn.reduce "sum" %ww axes [1] keep false over_examples false : (!nn.tensor<[64, 64], f32>) -> !nn.tensor<[64], f32>
    %t = nn.transpose %w [1, 0] : (!nn.tensor<[64, 64], f32>) -> !nn.tensor<[64, 64], f32>
    %xw = nn.contract "si,io->so" %x, %t over_examples false : (!nn.tensor<example, [seq, 64], f32>, !nn.tensor<[64, 64], f32>) -> !nn.tensor<example, [seq, 64], f32>
    %m = nn.param "m" : !nn.tensor<[64], f32>
    %mn = nn.mul %m, %norm : (!nn.tensor<[64], f32>, !nn.tensor<[64], f32>) -> !nn.tensor<[64], f32>
    %y = nn.mul %xw, %mn : (!nn.tensor<example, [seq, 64], f32>, !nn.tensor<[64], f32>) -> !nn.tensor<example, [seq, 64], f32>
    return %y : !nn.tensor<example, [seq, 64], f32>
  }

  // CHECK-LABEL: func.func @predict.step()
  // CHECK: nn.param "m"
  // CHECK-LABEL: func.func @predict(
  // CHECK-NOT: nn.param "m"
  func.func @predict(%x: !nn.tensor<example, [seq, 64], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 64], f32> {nn.name = "y"}) {
    %w = nn.param "W" : !nn.tensor<[64, 64], f32>
    %ww = nn.mul %w, %w : (!nn.tensor<[64, 64], f32>, !nn.tensor<[64, 64], f32>) -> !nn.tensor<[64, 64], f32>
    %norm = nn.reduce "sum" %ww axes [1] keep false over_examples false : (!nn.tensor<[64, 64], f32>) -> !nn.tensor<[64], f32>
    %m = nn.param "m" : !nn.tensor<[64], f32>
    %mn = nn.mul %m, %norm : (!nn.tensor<[64], f32>, !nn.tensor<[64], f32>) -> !nn.tensor<[64], f32>
    %y = nn.mul %x, %mn : (!nn.tensor<example, [seq, 64], f32>, !nn.tensor<[64], f32>) -> !nn.tensor<example, [seq, 64], f32>
    return %y : !nn.tensor<example, [seq, 64], f32>
  }
  // CHECK-LABEL: func.func @on_grad.constant()
  // CHECK: %[[INVERSE:.*]] = nn.inverse
  // CHECK: return %[[INVERSE]]
  // CHECK-LABEL: func.func @on_grad(
  // CHECK-SAME: {nn.name = "derived.0"}
  // CHECK-NOT: nn.inverse
  // CHECK: nn.mul
  func.func @on_grad(%g: !nn.tensor<[64, 64], f32> {nn.name = "grad.m"}, %step: !nn.tensor<[], f32> {nn.name = "step"}) -> (!nn.tensor<[64, 64], f32> {nn.name = "grad.m"}) {
    %w = nn.param "W" : !nn.tensor<[64, 64], f32>
    %i = nn.inverse %w : (!nn.tensor<[64, 64], f32>) -> !nn.tensor<[64, 64], f32>
    %s = nn.mul %i, %step : (!nn.tensor<[64, 64], f32>, !nn.tensor<[], f32>) -> !nn.tensor<[64, 64], f32>
    %r = nn.add %s, %g : (!nn.tensor<[64, 64], f32>, !nn.tensor<[64, 64], f32>) -> !nn.tensor<[64, 64], f32>
    return %r : !nn.tensor<[64, 64], f32>
  }
}
