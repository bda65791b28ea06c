// RUN: peft-opt --nn-derive-merge --split-input-file %s | FileCheck %s
// `y = x Wᵀ + (x Aᵀ) Bᵀ + c` is affine in x: a program for its weights; what is not names the operation.

// CHECK: nn.merge = [{possible = true, reason = "", site = "lin"}]
// CHECK-LABEL: func.func @merge()
// CHECK-SAME: -> ({{.*}}<[4, 6], f32> {nn.name = "lin.W"}, {{.*}}<[4], f32> {nn.name = "lin.b"}) attributes {nn.streamed}
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
// CHECK: func.func @merge() attributes {nn.streamed} {
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

// -----
// `W - s B A`: scale and sign reach the weight.
// CHECK: {possible = true, reason = "", site = "lin"}
// CHECK: func.func @merge() ->
// CHECK-DAG: %[[W:.*]] = nn.param "lin.W"
// CHECK-DAG: %[[A:.*]] = nn.param "A"
// CHECK-DAG: %[[B:.*]] = nn.param "B"
// CHECK-DAG: %[[S:.*]] = nn.constant(5.0
// CHECK: %[[BA:.*]] = nn.contract "{{.*}}" %[[B]], %[[A]]
// CHECK: %[[SBA:.*]] = nn.mul %[[BA]], %[[S]]
// CHECK: %[[V:.*]] = nn.sub %[[W]], %[[SBA]]
// CHECK: return %[[V]]
module {
  nn.parameter @lin.W "base" trainable false : !nn.tensor<[4, 6], f32> {checkpoint = "lin.weight"}
  nn.parameter @A "method" trainable true : !nn.tensor<[2, 6], f32> {attach = 0 : i64}
  nn.parameter @B "method" trainable true : !nn.tensor<[4, 2], f32> {attach = 0 : i64}
  func.func @site.lin(%x: !nn.tensor<example, [seq, 6], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "y"}) attributes {nn.site = "lin", nn.weight = "lin.W"} {
    %w = nn.param "lin.W" : !nn.tensor<[4, 6], f32>
    %xw = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 6], f32>, !nn.tensor<[4, 6], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %A = nn.param "A" : !nn.tensor<[2, 6], f32>
    %B = nn.param "B" : !nn.tensor<[4, 2], f32>
    %s = nn.constant(5.000000e-01 : f64) : !nn.tensor<[], f32>
    %xa = nn.contract "ay,zy->az" %x, %A over_examples false : (!nn.tensor<example, [seq, 6], f32>, !nn.tensor<[2, 6], f32>) -> !nn.tensor<example, [seq, 2], f32>
    %xab = nn.contract "ay,zy->az" %xa, %B over_examples false : (!nn.tensor<example, [seq, 2], f32>, !nn.tensor<[4, 2], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %sx = nn.mul %s, %xab : (!nn.tensor<[], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %y = nn.sub %xw, %sx : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return %y : !nn.tensor<example, [seq, 4], f32>
  }
}

// -----
// CHECK: possible = false, reason = "it multiplies two values that depend on x (nn.mul at spec.peft:3:5)", site = "lin"
module {
  nn.parameter @lin.W "base" trainable false : !nn.tensor<[4, 4], f32> {checkpoint = "lin.weight"}
  func.func @site.lin(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "y"}) attributes {nn.site = "lin", nn.weight = "lin.W"} {
    %w = nn.param "lin.W" : !nn.tensor<[4, 4], f32>
    %y0 = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %y = nn.mul %y0, %x : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32> loc("spec.peft":3:5)
    return %y : !nn.tensor<example, [seq, 4], f32>
  }
}

// -----
// A coefficient that the text changes is none of a weight.
// CHECK: possible = false, reason = "`mean` differs from one example to the next (nn.mul at spec.peft:4:5)", site = "lin"
module {
  nn.parameter @lin.W "base" trainable false : !nn.tensor<[4, 4], f32> {checkpoint = "lin.weight"}
  func.func @site.lin(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}, %u: !nn.tensor<example, [4], f32> {nn.name = "mean"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "y"}) attributes {nn.site = "lin", nn.weight = "lin.W"} {
    %w = nn.param "lin.W" : !nn.tensor<[4, 4], f32>
    %y0 = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %y = nn.mul %y0, %u : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [4], f32>) -> !nn.tensor<example, [seq, 4], f32> loc("spec.peft":4:5)
    return %y : !nn.tensor<example, [seq, 4], f32>
  }
}

// -----
// A rewired weight is its own merged value, and so is a weight of the base that was trained.
// CHECK: {possible = true, reason = "", site = "n"}
// CHECK: func.func @merge() -> ({{.*}} {nn.name = "n.W"}, {{.*}}{nn.name = "n.b"})
// CHECK-DAG: %[[W:.*]] = nn.param "n.W"
// CHECK-DAG: %[[A:.*]] = nn.param "a"
// CHECK-DAG: %[[NEW:.*]] = nn.mul %[[W]], %[[A]]
// CHECK-DAG: %[[B:.*]] = nn.param "n.b"
// CHECK: return %[[NEW]], %[[B]]
module {
  nn.parameter @n.W "base" trainable false : !nn.tensor<[4], f32> {checkpoint = "n.weight"}
  nn.parameter @n.b "base" trainable true : !nn.tensor<[4], f32> {checkpoint = "n.bias"}
  nn.parameter @a "method" trainable true : !nn.tensor<[4], f32> {attach = 0 : i64}
  func.func @hook.n.W(%x: !nn.tensor<[4], f32> {nn.name = "W"}) -> (!nn.tensor<[4], f32> {nn.name = "W"}) attributes {nn.site = "n", nn.replaces = "n.W"} {
    %a = nn.param "a" : !nn.tensor<[4], f32>
    %y = nn.mul %x, %a : (!nn.tensor<[4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<[4], f32>
    return %y : !nn.tensor<[4], f32>
  }
}

// -----
// Axes of features are split, swapped and summed in the coefficients; the identity becomes a matrix where it must.
// CHECK: {possible = true, reason = "", site = "lin"}
// CHECK: func.func @merge() ->
// CHECK: %[[EYE:.*]] = nn.cast %{{.*}} to f32 : (!nn.tensor<[6, 6], i1>) -> !nn.tensor<[6, 6], f32>
// CHECK: %[[SPLIT:.*]] = nn.split %[[EYE]] axis 0 into [2, 3] : (!nn.tensor<[6, 6], f32>) -> !nn.tensor<[2, 3, 6], f32>
// CHECK: %[[SUM:.*]] = nn.reduce "sum" %[[SPLIT]] axes [1]
// CHECK: nn.contract {{.*}} -> !nn.tensor<[4, 6], f32>
module {
  nn.parameter @lin.W "base" trainable false : !nn.tensor<[4, 6], f32> {checkpoint = "lin.weight"}
  nn.parameter @A "method" trainable true : !nn.tensor<[4, 2], f32> {attach = 0 : i64}
  func.func @site.lin(%x: !nn.tensor<example, [seq, 6], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "y"}) attributes {nn.site = "lin", nn.weight = "lin.W"} {
    %w = nn.param "lin.W" : !nn.tensor<[4, 6], f32>
    %A = nn.param "A" : !nn.tensor<[4, 2], f32>
    %xw = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 6], f32>, !nn.tensor<[4, 6], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %s = nn.split %x axis 1 into [2, 3] : (!nn.tensor<example, [seq, 6], f32>) -> !nn.tensor<example, [seq, 2, 3], f32>
    %r = nn.reduce "sum" %s axes [2] keep false over_examples false : (!nn.tensor<example, [seq, 2, 3], f32>) -> !nn.tensor<example, [seq, 2], f32>
    %ra = nn.contract "ay,zy->az" %r, %A over_examples false : (!nn.tensor<example, [seq, 2], f32>, !nn.tensor<[4, 2], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %y = nn.add %xw, %ra : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return %y : !nn.tensor<example, [seq, 4], f32>
  }
}

// -----
// What is taken along the tokens is no map of each.
// CHECK: possible = false, reason = "it mixes tokens (nn.reduce at spec.peft:2:7)", site = "lin"
module {
  nn.parameter @lin.W "base" trainable false : !nn.tensor<[4, 4], f32> {checkpoint = "lin.weight"}
  func.func @site.lin(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "y"}) attributes {nn.site = "lin", nn.weight = "lin.W"} {
    %w = nn.param "lin.W" : !nn.tensor<[4, 4], f32>
    %xw = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %m = nn.reduce "sum" %x axes [0] keep true over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [1, 4], f32> loc("spec.peft":2:7)
    %y = nn.add %xw, %m : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [1, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return %y : !nn.tensor<example, [seq, 4], f32>
  }
}

// -----
// Two modules with one weight, of which both make the same: it merges. Of which they make different things, or one of them nothing: it does not.
// CHECK: nn.merge = [{possible = true, reason = "", site = "head"}, {possible = true, reason = "", site = "tokens"}, {possible = false, reason = "its weight `V` is also that of `b`", site = "a"}, {possible = false, reason = "its weight `V` is also that of `a`", site = "b"}, {possible = false, reason = "its weight `U` is also that of `other`", site = "one"}]
// CHECK: func.func @merge()
// CHECK-SAME: -> (!nn.tensor<[9, 4], f32> {nn.name = "W"})
// CHECK: nn.mul
// CHECK-NEXT: return
module {
  nn.parameter @W "base" trainable false : !nn.tensor<[9, 4], f32> {checkpoint = "w"}
  nn.parameter @V "base" trainable false : !nn.tensor<[9, 4], f32> {checkpoint = "v"}
  nn.parameter @U "base" trainable false : !nn.tensor<[9, 4], f32> {checkpoint = "u"}
  nn.parameter @s "method" trainable true : !nn.tensor<[9, 1], f32> {attach = 0 : i64}
  nn.parameter @t "method" trainable true : !nn.tensor<[9, 1], f32> {attach = 0 : i64}
  func.func @site.head(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 9], f32> {nn.name = "y"}) attributes {nn.site = "head", nn.weight = "W", nn.tied = "tokens"} {
    %w = nn.param "W" : !nn.tensor<[9, 4], f32>
    %s = nn.param "s" : !nn.tensor<[9, 1], f32>
    %e = nn.mul %s, %w : (!nn.tensor<[9, 1], f32>, !nn.tensor<[9, 4], f32>) -> !nn.tensor<[9, 4], f32>
    %y = nn.contract "ay,zy->az" %x, %e over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[9, 4], f32>) -> !nn.tensor<example, [seq, 9], f32>
    return %y : !nn.tensor<example, [seq, 9], f32>
  }
  func.func @hook.tokens.W(%w: !nn.tensor<[9, 4], f32> {nn.name = "W"}) -> (!nn.tensor<[9, 4], f32> {nn.name = "y"}) attributes {nn.site = "tokens", nn.replaces = "W", nn.tied = "head"} {
    %s = nn.param "s" : !nn.tensor<[9, 1], f32>
    %e = nn.mul %s, %w : (!nn.tensor<[9, 1], f32>, !nn.tensor<[9, 4], f32>) -> !nn.tensor<[9, 4], f32>
    return %e : !nn.tensor<[9, 4], f32>
  }
  func.func @hook.a.W(%w: !nn.tensor<[9, 4], f32> {nn.name = "W"}) -> (!nn.tensor<[9, 4], f32> {nn.name = "y"}) attributes {nn.site = "a", nn.replaces = "V", nn.tied = "b"} {
    %s = nn.param "s" : !nn.tensor<[9, 1], f32>
    %e = nn.mul %s, %w : (!nn.tensor<[9, 1], f32>, !nn.tensor<[9, 4], f32>) -> !nn.tensor<[9, 4], f32>
    return %e : !nn.tensor<[9, 4], f32>
  }
  func.func @hook.b.W(%w: !nn.tensor<[9, 4], f32> {nn.name = "W"}) -> (!nn.tensor<[9, 4], f32> {nn.name = "y"}) attributes {nn.site = "b", nn.replaces = "V", nn.tied = "a"} {
    %t = nn.param "t" : !nn.tensor<[9, 1], f32>
    %e = nn.mul %t, %w : (!nn.tensor<[9, 1], f32>, !nn.tensor<[9, 4], f32>) -> !nn.tensor<[9, 4], f32>
    return %e : !nn.tensor<[9, 4], f32>
  }
  func.func @hook.one.W(%w: !nn.tensor<[9, 4], f32> {nn.name = "W"}) -> (!nn.tensor<[9, 4], f32> {nn.name = "y"}) attributes {nn.site = "one", nn.replaces = "U", nn.tied = "other"} {
    %s = nn.param "s" : !nn.tensor<[9, 1], f32>
    %e = nn.mul %s, %w : (!nn.tensor<[9, 1], f32>, !nn.tensor<[9, 4], f32>) -> !nn.tensor<[9, 4], f32>
    return %e : !nn.tensor<[9, 4], f32>
  }
}
