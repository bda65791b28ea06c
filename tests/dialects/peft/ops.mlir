// RUN: peft-opt %s | peft-opt | FileCheck %s
// RUN: peft-opt %s -mlir-print-op-generic | peft-opt | FileCheck %s
// Every op of `peft` through its own text and the generic one.
module {
  // CHECK: peft.module @model kinds ["model"] inputs ["h"] dims {d = 4 : i64} {
  peft.module @model kinds ["model"] inputs ["h"] dims {d = 4 : i64} {
  ^bb0(%h: !nn.tensor<example, [seq, 4], f32>):
    // CHECK: peft.point "h" %
    %0 = peft.point "h" %h : !nn.tensor<example, [seq, 4], f32>
    // CHECK: peft.call @layers.0(%
    %1 = peft.call @layers.0(%0) : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %2 = nn.reduce "sum" %1 axes [0, 1] keep false over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [], f32>
    // CHECK: peft.result "metric.size" %
    peft.result "metric.size" %2 : !nn.tensor<example, [], f32>
    // CHECK: peft.yield %
    peft.yield %2 : !nn.tensor<example, [], f32>
  }
  // CHECK: peft.module @layers.0 kinds ["layer"] inputs ["x"] dims {d = 4 : i64} index 0 {
  peft.module @layers.0 kinds ["layer"] inputs ["x"] dims {d = 4 : i64} index 0 {
  ^bb0(%x: !nn.tensor<example, [seq, 4], f32>):
    %0 = peft.point "y" %x : !nn.tensor<example, [seq, 4], f32>
    peft.yield %0 : !nn.tensor<example, [seq, 4], f32>
  }
  // CHECK: peft.attach 0 "m" to "layers[*]" sites ["layers.0"]
  peft.attach 0 "m" to "layers[*]" sites ["layers.0"]
  // CHECK: peft.instance @layers.0 attach 0 "m" {
  peft.instance @layers.0 attach 0 "m" {
    // CHECK: peft.read @layers.0 "y"
    %0 = peft.read @layers.0 "y" : !nn.tensor<example, [seq, 4], f32>
    // CHECK: peft.base @layers.0(%
    %1 = peft.base @layers.0(%0) : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %2 = nn.reduce "sum" %1 axes [0, 1] keep false over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [], f32>
    // CHECK: peft.pass 1 "h" with ["h"](%
    %3 = peft.pass 1 "h" with ["h"](%0) : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    // CHECK: peft.loss %
    peft.loss %2 : !nn.tensor<example, [], f32>
    // CHECK: peft.rewire @layers.0 "y" %
    peft.rewire @layers.0 "y" %1 : !nn.tensor<example, [seq, 4], f32>
  }
}
