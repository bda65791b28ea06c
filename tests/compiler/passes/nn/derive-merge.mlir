// RUN: peft-opt --nn-derive-merge --split-input-file %s | FileCheck %s
// `y = x Wᵀ + (x Aᵀ) Bᵀ + c` is affine in x: a program for its weights; what is not names the operation.

// CHECK: nn.merge = [{possible = true, reason = "", site = "lin"}]
// CHECK-LABEL: func.func @merge()
// CHECK-SAME: -> ({{.*}}<[4, 6], f32> {nn.name = "lin.W"}, {{.*}}<[4], f32> {nn.name = "lin.b"})
// CHECK-DAG: %[[W:.*]] = nn.param "lin.W"
// CHECK-DAG: %[[A:.*]] = nn.param "A"
// CHECK-DAG: %[[B:.*]] = nn.param "B"
// CHECK-DAG: %[[BA:.*]] = nn.contract "{{.*}}" %[[B]], %[[A]] over_examples false : (!nn.tensor<[4, 2], f32>, !nn.tensor<[2, 6], f32>) -> !nn.tensor<[4, 6], f32>
// CHECK: nn.add %[[W]], %[[BA]]
// CHECK-NOT: @site.lin
module {
  nn.parameter @lin.W "base" trainable false : !nn.tensor<[4, 6], f32> {checkpoint = "lin.weight"}
  nn.parameter @lin.b "base" trainable false : !nn.tensor<[4], f32> {checkpoint = "lin.bias"}
  nn.parameter @A "method" trainable true : !nn.tensor<[2, 6], f32> {attach = 0 : i64}
  nn.parameter @B "method" trainable true : !nn.tensor<[4, 2], f32> {attach = 0 : i64}
  func.func @site.lin(%x: !nn.tensor<example, [seq, 6], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "y"}) attributes {nn.site = "lin", nn.weight = "lin.W", nn.bias = "lin.b"} {
    %w = nn.param "lin.W" : !nn.tensor<[4, 6], f32>
    %b = nn.param "lin.b" : !nn.tensor<[4], f32>
    %xw = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 6], f32>, !nn.tensor<[4, 6], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %base = nn.add %xw, %b : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %A = nn.param "A" : !nn.tensor<[2, 6], f32>
    %B = nn.param "B" : !nn.tensor<[4, 2], f32>
    %xa = nn.contract "ay,zy->az" %x, %A over_examples false : (!nn.tensor<example, [seq, 6], f32>, !nn.tensor<[2, 6], f32>) -> !nn.tensor<example, [seq, 2], f32>
    %xab = nn.contract "ay,zy->az" %xa, %B over_examples false : (!nn.tensor<example, [seq, 2], f32>, !nn.tensor<[4, 2], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %y = nn.add %base, %xab : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return %y : !nn.tensor<example, [seq, 4], f32>
  }
}

// -----
// CHECK: possible = false, reason = "not an affine map of x (nn.tanh at spec.peft:7:9)", site = "lin"
// CHECK: func.func @merge() {
// CHECK-NEXT: return
module {
  nn.parameter @lin.W "base" trainable false : !nn.tensor<[4, 4], f32> {checkpoint = "lin.weight"}
  func.func @site.lin(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "y"}) attributes {nn.site = "lin", nn.weight = "lin.W"} {
    %w = nn.param "lin.W" : !nn.tensor<[4, 4], f32>
    %t = nn.tanh %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32> loc("spec.peft":7:9)
    %y = nn.contract "ay,zy->az" %t, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return %y : !nn.tensor<example, [seq, 4], f32>
  }
}

// -----
// A constant needs a bias to go into.
// CHECK: possible = false, reason = "it adds a constant, and the site has no bias to take it", site = "lin"
module {
  nn.parameter @lin.W "base" trainable false : !nn.tensor<[4, 4], f32> {checkpoint = "lin.weight"}
  nn.parameter @a "method" trainable true : !nn.tensor<[4], f32> {attach = 0 : i64}
  func.func @site.lin(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "y"}) attributes {nn.site = "lin", nn.weight = "lin.W"} {
    %w = nn.param "lin.W" : !nn.tensor<[4, 4], f32>
    %a = nn.param "a" : !nn.tensor<[4], f32>
    %xw = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %y = nn.add %xw, %a : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return %y : !nn.tensor<example, [seq, 4], f32>
  }
}
