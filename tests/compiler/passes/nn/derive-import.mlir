// RUN: peft-opt --nn-derive-import --split-input-file %s | FileCheck %s
// What a file's tensors are made of parameters by is undone, last first; what cannot be is named with its place.

// CHECK-LABEL: func.func @import
// CHECK-SAME: (%[[S:.*]]: !nn.tensor<[4, 1], f32> {nn.name = "M.scale"}, %[[T:.*]]: !nn.tensor<[3, 8], f32> {nn.name = "prompt"})
// CHECK-SAME: {nn.name = "l"}, {{.*}}{nn.name = "P0"}, {{.*}}{nn.name = "P1"}
// CHECK-DAG: %[[L:.*]] = nn.squeeze %[[S]] axis 1
// CHECK-DAG: %[[TWO:.*]] = nn.constant(2.0
// CHECK: %[[HALF:.*]] = nn.div %[[L]], %[[TWO]]
// CHECK: %[[A:.*]] = nn.slice %[[T]] axis 1 from {{.*}}0{{.*}} to {{.*}}4{{.*}} step 1
// CHECK: %[[B:.*]] = nn.slice %[[T]] axis 1 from {{.*}}4{{.*}} to {{.*}}8{{.*}} step 1
// CHECK: %[[SPLIT:.*]] = nn.split %[[B]] axis 1 into
// CHECK: %[[TURNED:.*]] = nn.transpose %[[SPLIT]]
// CHECK: return %[[HALF]], %[[A]], %[[TURNED]]
module {
  nn.parameter @l "method" trainable true : !nn.tensor<[4], f32>
  nn.parameter @P0 "method" trainable true : !nn.tensor<[3, 4], f32>
  nn.parameter @P1 "method" trainable true : !nn.tensor<[2, 3, 2], f32>
  func.func @export() -> (!nn.tensor<[4, 1], f32> {nn.name = "M.scale"}, !nn.tensor<[3, 8], f32> {nn.name = "prompt"}) {
    %l = nn.param "l" : !nn.tensor<[4], f32>
    %two = nn.constant(2.0 : f64) : !nn.tensor<[], f32>
    %twice = nn.mul %two, %l : (!nn.tensor<[], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<[4], f32>
    %s = nn.expand_dims %twice axis 1 : (!nn.tensor<[4], f32>) -> !nn.tensor<[4, 1], f32>
    %p0 = nn.param "P0" : !nn.tensor<[3, 4], f32>
    %p1 = nn.param "P1" : !nn.tensor<[2, 3, 2], f32>
    %t = nn.transpose %p1 [1, 0, 2] : (!nn.tensor<[2, 3, 2], f32>) -> !nn.tensor<[3, 2, 2], f32>
    %m = nn.merge %t axis 1 count 2 : (!nn.tensor<[3, 2, 2], f32>) -> !nn.tensor<[3, 4], f32>
    %all = nn.concat %p0, %m axis 1 : (!nn.tensor<[3, 4], f32>, !nn.tensor<[3, 4], f32>) -> !nn.tensor<[3, 8], f32>
    return %s, %all : !nn.tensor<[4, 1], f32>, !nn.tensor<[3, 8], f32>
  }
}

// -----
// CHECK: nn.import = "`prompt` does not tell its parameters: it is made by nn.tanh at spec.peft:7:9"
// CHECK-NOT: func.func @import
module {
  nn.parameter @P "method" trainable true : !nn.tensor<[3, 4], f32>
  func.func @export() -> (!nn.tensor<[3, 4], f32> {nn.name = "prompt"}) {
    %p = nn.param "P" : !nn.tensor<[3, 4], f32>
    %t = nn.tanh %p : (!nn.tensor<[3, 4], f32>) -> !nn.tensor<[3, 4], f32> loc("spec.peft":7:9)
    return %t : !nn.tensor<[3, 4], f32>
  }
}

// -----
// In two tensors: both are read.
// CHECK-LABEL: func.func @import(
// CHECK-SAME: -> (!nn.tensor<[3], f32> {nn.name = "P"}, !nn.tensor<[3], f32> {nn.name = "P in b"})
module {
  nn.parameter @P "method" trainable true : !nn.tensor<[3], f32>
  func.func @export() -> (!nn.tensor<[3], f32> {nn.name = "a"}, !nn.tensor<[3], f32> {nn.name = "b"}) {
    %p = nn.param "P" : !nn.tensor<[3], f32>
    return %p, %p : !nn.tensor<[3], f32>, !nn.tensor<[3], f32>
  }
}

// -----
// CHECK: nn.import = "`a` does not tell its parameters: `P` is drawn from the run's seed, and a file may hold others"
module {
  nn.parameter @P "frozen" trainable false : !nn.tensor<[3], f32>
  func.func @export() -> (!nn.tensor<[3], f32> {nn.name = "a"}) {
    %p = nn.param "P" : !nn.tensor<[3], f32>
    return %p : !nn.tensor<[3], f32>
  }
}

// -----
// Of a program without such files nothing is made.
// CHECK-NOT: func.func @import
module {
  func.func @init() {
    return
  }
}
