// RUN: peft-opt --nn-inline-hooks %s | FileCheck %s
// The model with every rewiring in it, a function a mode; the site alone, for merging.
module {
  // CHECK-LABEL: func.func @train(
  // CHECK-SAME: {nn.name = "h"}) -> ({{.*}}{nn.name = "loss"})
  // CHECK: %[[W:.*]] = nn.param "lin.W"
  // CHECK: %[[Y:.*]] = nn.contract "ay,zy->az" %arg0, %[[W]]
  // CHECK: %[[A:.*]] = nn.param "lin.m.a"
  // CHECK: %[[HOOKED:.*]] = nn.add %[[Y]], %[[A]]
  // In training what `by_mode` says first:
  // CHECK: %[[LOGITS:.*]] = nn.neg %[[HOOKED]]
  // CHECK: %[[LOSS:.*]] = nn.reduce "sum" %[[LOGITS]]
  // CHECK: return %[[LOSS]] :

  // CHECK-LABEL: func.func @inspect(
  // CHECK-SAME: {nn.name = "h"}) -> ({{.*}}{nn.name = "logits"})
  // CHECK: %[[LOGITS:.*]] = nn.neg
  // CHECK-NOT: nn.reduce
  // CHECK: return %[[LOGITS]]

  // CHECK-LABEL: func.func @eval(
  // CHECK: %[[HOOKED:.*]] = nn.add
  // CHECK-NOT: nn.neg
  // CHECK: %[[LOSS:.*]] = nn.reduce "sum" %[[HOOKED]]
  // CHECK: return %[[LOSS]] :

  // CHECK-LABEL: func.func @predict(
  // CHECK: %[[HOOKED:.*]] = nn.add
  // CHECK-NOT: nn.reduce
  // CHECK: return %[[HOOKED]]

  // Without any method, on merged weights:
  // CHECK-LABEL: func.func @predict_base(
  // CHECK-NOT: lin.m.a
  // CHECK: %[[Y:.*]] = nn.contract
  // CHECK-NEXT: return %[[Y]]

  // CHECK-LABEL: func.func @site.lin(
  // CHECK-SAME: {nn.name = "x"}) -> ({{.*}}{nn.name = "y"}) attributes {nn.site = "lin", nn.weight = "lin.W"}
  // CHECK: %[[Y:.*]] = nn.contract
  // CHECK: %[[HOOKED:.*]] = nn.add %[[Y]]
  // CHECK: return %[[HOOKED]]

  nn.parameter @lin.W "base" trainable false : !nn.tensor<[4, 4], f32> {checkpoint = "lin.weight"}
  nn.parameter @lin.m.a "method" trainable true : !nn.tensor<[4], f32> {attach = 0 : i64, peft.shared = false}
  peft.module @model kinds ["model"] inputs ["h"] dims {d = 4 : i64} {
  ^bb0(%arg0: !nn.tensor<example, [seq, 4], f32>):
    %0 = peft.point "h" %arg0 : !nn.tensor<example, [seq, 4], f32>
    %1 = peft.call @lin(%0) : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %2 = nn.neg %1 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %3 = nn.by_mode %2, %1 : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %4 = peft.point "logits" %3 : !nn.tensor<example, [seq, 4], f32>
    %5 = nn.reduce "sum" %4 axes [0, 1] keep false over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [], f32>
    %6 = peft.point "loss" %5 : !nn.tensor<example, [], f32>
    peft.yield %6 : !nn.tensor<example, [], f32>
  }
  peft.module @lin kinds ["linear"] inputs ["x"] dims {in = 4 : i64, out = 4 : i64} {
  ^bb0(%arg0: !nn.tensor<example, [seq, 4], f32>):
    %0 = peft.point "x" %arg0 : !nn.tensor<example, [seq, 4], f32>
    %1 = nn.param "lin.W" : !nn.tensor<[4, 4], f32>
    %2 = peft.point "W" %1 : !nn.tensor<[4, 4], f32>
    %3 = nn.contract "ay,zy->az" %0, %2 over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %4 = peft.point "y" %3 : !nn.tensor<example, [seq, 4], f32>
    peft.yield %4 : !nn.tensor<example, [seq, 4], f32>
  }
  peft.attach 0 "m" to "lin" sites ["lin"]
  peft.instance @lin attach 0 "m" {
    %0 = peft.read @lin "y" : !nn.tensor<example, [seq, 4], f32>
    %1 = nn.param "lin.m.a" : !nn.tensor<[4], f32>
    %2 = nn.add %0, %1 : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    peft.rewire @lin "y" %2 : !nn.tensor<example, [seq, 4], f32>
  }
}
