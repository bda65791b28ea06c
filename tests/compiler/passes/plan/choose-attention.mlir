// RUN: peft-opt --plan-open-programs --plan-form-products --plan-form-kernels --plan-choose-storage --plan-lower-programs --plan-name-kernels --plan-drop-places --plan-choose-attention %s | FileCheck %s
// A kernel that computes softmax attention is a library's step, in whatever words it says so; what computes something else is not, and says why.
module attributes {plan.bf16, plan.attention = "library", plan.device = {bf16 = 989000 : i64, f32 = 67000 : i64, bandwidth = 3350 : i64, tokens = 4096 : i64, length = 512 : i64}} {
  nn.parameter @Wq "base" trainable false : !nn.tensor<[32, 16], f32>
  nn.parameter @Wk "base" trainable false : !nn.tensor<[16, 16], f32>
  nn.parameter @Wv "base" trainable false : !nn.tensor<[16, 16], f32>
  nn.parameter @Wo "base" trainable false : !nn.tensor<[16, 32], f32>

  // What all see, with a scale of its own, and in other words than ours.
  // CHECK-LABEL: plan.program @eval
  // CHECK: %[[C:.*]]:2 = plan.attention(%{{.*}}, %{{.*}}, %{{.*}}) scale 2.500000e-01 {plan.attention_note = "library: {{.*}}, as `attention` says"} : (!plan.packed<example, [seq, 4, 8], bf16>, !plan.packed<example, [seq, 2, 8], bf16>, !plan.packed<example, [seq, 2, 8], bf16>) -> (!plan.packed<example, [seq, 4, 8], bf16>, !plan.packed<example, [seq, 4], f32>)
  // CHECK: plan.alias "merge" %[[C]]#0
  func.func @eval(%in: !nn.tensor<example, [seq, 16], f32> {nn.name = "in"}) -> (!nn.tensor<example, [seq, 16], f32> {nn.name = "y"}) {
    %x = nn.exp %in : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %wq = nn.param "Wq" : !nn.tensor<[32, 16], f32>
    %wk = nn.param "Wk" : !nn.tensor<[16, 16], f32>
    %wv = nn.param "Wv" : !nn.tensor<[16, 16], f32>
    %q0 = nn.contract "ay,zy->az" %x, %wq over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[32, 16], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %k0 = nn.contract "ay,zy->az" %x, %wk over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[16, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %v0 = nn.contract "ay,zy->az" %x, %wv over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[16, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %q = nn.split %q0 axis 1 into [4, 8] : (!nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %k1 = nn.split %k0 axis 1 into [2, 8] : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 2, 8], f32>
    %v1 = nn.split %v0 axis 1 into [2, 8] : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 2, 8], f32>
    %k = nn.repeat %k1 axis 1 times 2 : (!nn.tensor<example, [seq, 2, 8], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %v = nn.repeat %v1 axis 1 times 2 : (!nn.tensor<example, [seq, 2, 8], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %s = nn.contract "abc,dbc->bad" %q, %k over_examples false : (!nn.tensor<example, [seq, 4, 8], f32>, !nn.tensor<example, [seq, 4, 8], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %lowest = nn.constant(-1.000000e+30 : f64) : !nn.tensor<[], f32>
    %i = nn.iota %in axis 0 : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq], i64>
    %i1 = nn.expand_dims %i axis 0 : (!nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [1, seq], i64>
    %key = nn.expand_dims %i1 axis 1 : (!nn.tensor<example, [1, seq], i64>) -> !nn.tensor<example, [1, 1, seq], i64>
    %row = nn.expand_dims %i1 axis 2 : (!nn.tensor<example, [1, seq], i64>) -> !nn.tensor<example, [1, seq, 1], i64>
    %scale = nn.constant(2.500000e-01 : f64) : !nn.tensor<[], f32>
    %z = nn.mul %s, %scale : (!nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<[], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %e = nn.exp %z : (!nn.tensor<example, [4, seq, seq], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %t = nn.reduce "sum" %e axes [2] keep true over_examples false : (!nn.tensor<example, [4, seq, seq], f32>) -> !nn.tensor<example, [4, seq, 1], f32>
    %l = nn.log %t : (!nn.tensor<example, [4, seq, 1], f32>) -> !nn.tensor<example, [4, seq, 1], f32>
    %d = nn.sub %z, %l : (!nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<example, [4, seq, 1], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %p = nn.exp %d : (!nn.tensor<example, [4, seq, seq], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %c = nn.contract "bad,dbc->abc" %p, %v over_examples false : (!nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<example, [seq, 4, 8], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %c0 = nn.merge %c axis 1 count 2 : (!nn.tensor<example, [seq, 4, 8], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %wo = nn.param "Wo" : !nn.tensor<[16, 32], f32>
    %y = nn.contract "ay,zy->az" %c0, %wo over_examples false : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<[16, 32], f32>) -> !nn.tensor<example, [seq, 16], f32>
    return %y : !nn.tensor<example, [seq, 16], f32>
  }

  // So many tokens back, though no small text shows it.
  // CHECK-LABEL: plan.program @inspect
  // CHECK: plan.attention({{.*}}) scale 1.000000e+00 left 511 right 0
  func.func @inspect(%in: !nn.tensor<example, [seq, 16], f32> {nn.name = "in"}) -> (!nn.tensor<example, [seq, 16], f32> {nn.name = "y"}) {
    %x = nn.exp %in : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %wq = nn.param "Wq" : !nn.tensor<[32, 16], f32>
    %wk = nn.param "Wk" : !nn.tensor<[16, 16], f32>
    %wv = nn.param "Wv" : !nn.tensor<[16, 16], f32>
    %q0 = nn.contract "ay,zy->az" %x, %wq over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[32, 16], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %k0 = nn.contract "ay,zy->az" %x, %wk over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[16, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %v0 = nn.contract "ay,zy->az" %x, %wv over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[16, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %q = nn.split %q0 axis 1 into [4, 8] : (!nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %k1 = nn.split %k0 axis 1 into [2, 8] : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 2, 8], f32>
    %v1 = nn.split %v0 axis 1 into [2, 8] : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 2, 8], f32>
    %k = nn.repeat %k1 axis 1 times 2 : (!nn.tensor<example, [seq, 2, 8], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %v = nn.repeat %v1 axis 1 times 2 : (!nn.tensor<example, [seq, 2, 8], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %s = nn.contract "abc,dbc->bad" %q, %k over_examples false : (!nn.tensor<example, [seq, 4, 8], f32>, !nn.tensor<example, [seq, 4, 8], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %lowest = nn.constant(-1.000000e+30 : f64) : !nn.tensor<[], f32>
    %i = nn.iota %in axis 0 : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq], i64>
    %i1 = nn.expand_dims %i axis 0 : (!nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [1, seq], i64>
    %key = nn.expand_dims %i1 axis 1 : (!nn.tensor<example, [1, seq], i64>) -> !nn.tensor<example, [1, 1, seq], i64>
    %row = nn.expand_dims %i1 axis 2 : (!nn.tensor<example, [1, seq], i64>) -> !nn.tensor<example, [1, seq, 1], i64>
    %window = nn.constant(512 : i64) : !nn.tensor<[], i64>
    %least = nn.sub %row, %window : (!nn.tensor<example, [1, seq, 1], i64>, !nn.tensor<[], i64>) -> !nn.tensor<example, [1, seq, 1], i64>
    %behind = nn.le %key, %row : (!nn.tensor<example, [1, 1, seq], i64>, !nn.tensor<example, [1, seq, 1], i64>) -> !nn.tensor<example, [1, seq, seq], i1>
    %near = nn.gt %key, %least : (!nn.tensor<example, [1, 1, seq], i64>, !nn.tensor<example, [1, seq, 1], i64>) -> !nn.tensor<example, [1, seq, seq], i1>
    %seen = nn.and %behind, %near : (!nn.tensor<example, [1, seq, seq], i1>, !nn.tensor<example, [1, seq, seq], i1>) -> !nn.tensor<example, [1, seq, seq], i1>
    %w = nn.select %seen, %s, %lowest : (!nn.tensor<example, [1, seq, seq], i1>, !nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<[], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %m = nn.reduce "max" %w axes [2] keep true over_examples false : (!nn.tensor<example, [4, seq, seq], f32>) -> !nn.tensor<example, [4, seq, 1], f32>
    %d = nn.sub %w, %m : (!nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<example, [4, seq, 1], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %e = nn.exp %d : (!nn.tensor<example, [4, seq, seq], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %t = nn.reduce "sum" %e axes [2] keep true over_examples false : (!nn.tensor<example, [4, seq, seq], f32>) -> !nn.tensor<example, [4, seq, 1], f32>
    %p = nn.div %e, %t : (!nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<example, [4, seq, 1], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %c = nn.contract "bad,dbc->abc" %p, %v over_examples false : (!nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<example, [seq, 4, 8], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %c0 = nn.merge %c axis 1 count 2 : (!nn.tensor<example, [seq, 4, 8], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %wo = nn.param "Wo" : !nn.tensor<[16, 32], f32>
    %y = nn.contract "ay,zy->az" %c0, %wo over_examples false : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<[16, 32], f32>) -> !nn.tensor<example, [seq, 16], f32>
    return %y : !nn.tensor<example, [seq, 16], f32>
  }

  // One bound or the other is no interval.
  // CHECK-LABEL: plan.program @predict
  // CHECK-NOT: plan.attention(
  // CHECK: plan.attention_note = "generated: its mask is another one than how far a token sees"
  func.func @predict(%in: !nn.tensor<example, [seq, 16], f32> {nn.name = "in"}) -> (!nn.tensor<example, [seq, 16], f32> {nn.name = "y"}) {
    %x = nn.exp %in : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %wq = nn.param "Wq" : !nn.tensor<[32, 16], f32>
    %wk = nn.param "Wk" : !nn.tensor<[16, 16], f32>
    %wv = nn.param "Wv" : !nn.tensor<[16, 16], f32>
    %q0 = nn.contract "ay,zy->az" %x, %wq over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[32, 16], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %k0 = nn.contract "ay,zy->az" %x, %wk over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[16, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %v0 = nn.contract "ay,zy->az" %x, %wv over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[16, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %q = nn.split %q0 axis 1 into [4, 8] : (!nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %k1 = nn.split %k0 axis 1 into [2, 8] : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 2, 8], f32>
    %v1 = nn.split %v0 axis 1 into [2, 8] : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 2, 8], f32>
    %k = nn.repeat %k1 axis 1 times 2 : (!nn.tensor<example, [seq, 2, 8], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %v = nn.repeat %v1 axis 1 times 2 : (!nn.tensor<example, [seq, 2, 8], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %s = nn.contract "abc,dbc->bad" %q, %k over_examples false : (!nn.tensor<example, [seq, 4, 8], f32>, !nn.tensor<example, [seq, 4, 8], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %lowest = nn.constant(-1.000000e+30 : f64) : !nn.tensor<[], f32>
    %i = nn.iota %in axis 0 : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq], i64>
    %i1 = nn.expand_dims %i axis 0 : (!nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [1, seq], i64>
    %key = nn.expand_dims %i1 axis 1 : (!nn.tensor<example, [1, seq], i64>) -> !nn.tensor<example, [1, 1, seq], i64>
    %row = nn.expand_dims %i1 axis 2 : (!nn.tensor<example, [1, seq], i64>) -> !nn.tensor<example, [1, seq, 1], i64>
    %window = nn.constant(512 : i64) : !nn.tensor<[], i64>
    %least = nn.sub %row, %window : (!nn.tensor<example, [1, seq, 1], i64>, !nn.tensor<[], i64>) -> !nn.tensor<example, [1, seq, 1], i64>
    %behind = nn.le %key, %row : (!nn.tensor<example, [1, 1, seq], i64>, !nn.tensor<example, [1, seq, 1], i64>) -> !nn.tensor<example, [1, seq, seq], i1>
    %near = nn.gt %key, %least : (!nn.tensor<example, [1, 1, seq], i64>, !nn.tensor<example, [1, seq, 1], i64>) -> !nn.tensor<example, [1, seq, seq], i1>
    %seen = nn.or %behind, %near : (!nn.tensor<example, [1, seq, seq], i1>, !nn.tensor<example, [1, seq, seq], i1>) -> !nn.tensor<example, [1, seq, seq], i1>
    %w = nn.select %seen, %s, %lowest : (!nn.tensor<example, [1, seq, seq], i1>, !nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<[], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %m = nn.reduce "max" %w axes [2] keep true over_examples false : (!nn.tensor<example, [4, seq, seq], f32>) -> !nn.tensor<example, [4, seq, 1], f32>
    %d = nn.sub %w, %m : (!nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<example, [4, seq, 1], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %e = nn.exp %d : (!nn.tensor<example, [4, seq, seq], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %t = nn.reduce "sum" %e axes [2] keep true over_examples false : (!nn.tensor<example, [4, seq, seq], f32>) -> !nn.tensor<example, [4, seq, 1], f32>
    %p = nn.div %e, %t : (!nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<example, [4, seq, 1], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %c = nn.contract "bad,dbc->abc" %p, %v over_examples false : (!nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<example, [seq, 4, 8], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %c0 = nn.merge %c axis 1 count 2 : (!nn.tensor<example, [seq, 4, 8], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %wo = nn.param "Wo" : !nn.tensor<[16, 32], f32>
    %y = nn.contract "ay,zy->az" %c0, %wo over_examples false : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<[16, 32], f32>) -> !nn.tensor<example, [seq, 16], f32>
    return %y : !nn.tensor<example, [seq, 16], f32>
  }

  // Keys behind a row count for less, and are not hidden.
  // CHECK-LABEL: plan.program @train_step
  // CHECK-NOT: plan.attention(
  // CHECK: plan.attention_note = "generated: it computes something else than softmax attention"
  func.func @train_step(%in: !nn.tensor<example, [seq, 16], f32> {nn.name = "in"}) -> (!nn.tensor<example, [seq, 16], f32> {nn.name = "y"}) {
    %x = nn.exp %in : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %wq = nn.param "Wq" : !nn.tensor<[32, 16], f32>
    %wk = nn.param "Wk" : !nn.tensor<[16, 16], f32>
    %wv = nn.param "Wv" : !nn.tensor<[16, 16], f32>
    %q0 = nn.contract "ay,zy->az" %x, %wq over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[32, 16], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %k0 = nn.contract "ay,zy->az" %x, %wk over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[16, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %v0 = nn.contract "ay,zy->az" %x, %wv over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[16, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %q = nn.split %q0 axis 1 into [4, 8] : (!nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %k1 = nn.split %k0 axis 1 into [2, 8] : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 2, 8], f32>
    %v1 = nn.split %v0 axis 1 into [2, 8] : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 2, 8], f32>
    %k = nn.repeat %k1 axis 1 times 2 : (!nn.tensor<example, [seq, 2, 8], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %v = nn.repeat %v1 axis 1 times 2 : (!nn.tensor<example, [seq, 2, 8], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %s = nn.contract "abc,dbc->bad" %q, %k over_examples false : (!nn.tensor<example, [seq, 4, 8], f32>, !nn.tensor<example, [seq, 4, 8], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %lowest = nn.constant(-1.000000e+30 : f64) : !nn.tensor<[], f32>
    %i = nn.iota %in axis 0 : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq], i64>
    %i1 = nn.expand_dims %i axis 0 : (!nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [1, seq], i64>
    %key = nn.expand_dims %i1 axis 1 : (!nn.tensor<example, [1, seq], i64>) -> !nn.tensor<example, [1, 1, seq], i64>
    %row = nn.expand_dims %i1 axis 2 : (!nn.tensor<example, [1, seq], i64>) -> !nn.tensor<example, [1, seq, 1], i64>
    %behind = nn.le %key, %row : (!nn.tensor<example, [1, 1, seq], i64>, !nn.tensor<example, [1, seq, 1], i64>) -> !nn.tensor<example, [1, seq, seq], i1>
    %half = nn.constant(5.000000e-01 : f64) : !nn.tensor<[], f32>
    %less = nn.mul %s, %half : (!nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<[], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %w = nn.select %behind, %s, %less : (!nn.tensor<example, [1, seq, seq], i1>, !nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<example, [4, seq, seq], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %m = nn.reduce "max" %w axes [2] keep true over_examples false : (!nn.tensor<example, [4, seq, seq], f32>) -> !nn.tensor<example, [4, seq, 1], f32>
    %d = nn.sub %w, %m : (!nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<example, [4, seq, 1], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %e = nn.exp %d : (!nn.tensor<example, [4, seq, seq], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %t = nn.reduce "sum" %e axes [2] keep true over_examples false : (!nn.tensor<example, [4, seq, seq], f32>) -> !nn.tensor<example, [4, seq, 1], f32>
    %p = nn.div %e, %t : (!nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<example, [4, seq, 1], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %c = nn.contract "bad,dbc->abc" %p, %v over_examples false : (!nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<example, [seq, 4, 8], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %c0 = nn.merge %c axis 1 count 2 : (!nn.tensor<example, [seq, 4, 8], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %wo = nn.param "Wo" : !nn.tensor<[16, 32], f32>
    %y = nn.contract "ay,zy->az" %c0, %wo over_examples false : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<[16, 32], f32>) -> !nn.tensor<example, [seq, 16], f32>
    return %y : !nn.tensor<example, [seq, 16], f32>
  }

  // Scores that are bent before they are shared.
  // CHECK-LABEL: plan.program @prefill
  // CHECK-NOT: plan.attention(
  // CHECK: plan.attention_note = "generated: it computes something else than softmax attention"
  func.func @prefill(%in: !nn.tensor<example, [seq, 16], f32> {nn.name = "in"}) -> (!nn.tensor<example, [seq, 16], f32> {nn.name = "y"}) {
    %x = nn.exp %in : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %wq = nn.param "Wq" : !nn.tensor<[32, 16], f32>
    %wk = nn.param "Wk" : !nn.tensor<[16, 16], f32>
    %wv = nn.param "Wv" : !nn.tensor<[16, 16], f32>
    %q0 = nn.contract "ay,zy->az" %x, %wq over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[32, 16], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %k0 = nn.contract "ay,zy->az" %x, %wk over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[16, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %v0 = nn.contract "ay,zy->az" %x, %wv over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[16, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %q = nn.split %q0 axis 1 into [4, 8] : (!nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %k1 = nn.split %k0 axis 1 into [2, 8] : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 2, 8], f32>
    %v1 = nn.split %v0 axis 1 into [2, 8] : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 2, 8], f32>
    %k = nn.repeat %k1 axis 1 times 2 : (!nn.tensor<example, [seq, 2, 8], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %v = nn.repeat %v1 axis 1 times 2 : (!nn.tensor<example, [seq, 2, 8], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %s = nn.contract "abc,dbc->bad" %q, %k over_examples false : (!nn.tensor<example, [seq, 4, 8], f32>, !nn.tensor<example, [seq, 4, 8], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %lowest = nn.constant(-1.000000e+30 : f64) : !nn.tensor<[], f32>
    %i = nn.iota %in axis 0 : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq], i64>
    %i1 = nn.expand_dims %i axis 0 : (!nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [1, seq], i64>
    %key = nn.expand_dims %i1 axis 1 : (!nn.tensor<example, [1, seq], i64>) -> !nn.tensor<example, [1, 1, seq], i64>
    %row = nn.expand_dims %i1 axis 2 : (!nn.tensor<example, [1, seq], i64>) -> !nn.tensor<example, [1, seq, 1], i64>
    %z = nn.tanh %s : (!nn.tensor<example, [4, seq, seq], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %m = nn.reduce "max" %z axes [2] keep true over_examples false : (!nn.tensor<example, [4, seq, seq], f32>) -> !nn.tensor<example, [4, seq, 1], f32>
    %d = nn.sub %z, %m : (!nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<example, [4, seq, 1], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %e = nn.exp %d : (!nn.tensor<example, [4, seq, seq], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %t = nn.reduce "sum" %e axes [2] keep true over_examples false : (!nn.tensor<example, [4, seq, seq], f32>) -> !nn.tensor<example, [4, seq, 1], f32>
    %p = nn.div %e, %t : (!nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<example, [4, seq, 1], f32>) -> !nn.tensor<example, [4, seq, seq], f32>
    %c = nn.contract "bad,dbc->abc" %p, %v over_examples false : (!nn.tensor<example, [4, seq, seq], f32>, !nn.tensor<example, [seq, 4, 8], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %c0 = nn.merge %c axis 1 count 2 : (!nn.tensor<example, [seq, 4, 8], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %wo = nn.param "Wo" : !nn.tensor<[16, 32], f32>
    %y = nn.contract "ay,zy->az" %c0, %wo over_examples false : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<[16, 32], f32>) -> !nn.tensor<example, [seq, 16], f32>
    return %y : !nn.tensor<example, [seq, 16], f32>
  }

  // Heads of four numbers.
  // CHECK-LABEL: plan.program @predict_base
  // CHECK-NOT: plan.attention(
  // CHECK: plan.attention_note = "generated: the library has no heads of this size"
  func.func @predict_base(%in: !nn.tensor<example, [seq, 16], f32> {nn.name = "in"}) -> (!nn.tensor<example, [seq, 16], f32> {nn.name = "y"}) {
    %x = nn.exp %in : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %wq = nn.param "Wq" : !nn.tensor<[32, 16], f32>
    %wk = nn.param "Wk" : !nn.tensor<[16, 16], f32>
    %wv = nn.param "Wv" : !nn.tensor<[16, 16], f32>
    %q0 = nn.contract "ay,zy->az" %x, %wq over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[32, 16], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %k0 = nn.contract "ay,zy->az" %x, %wk over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[16, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %v0 = nn.contract "ay,zy->az" %x, %wv over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[16, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %q = nn.split %q0 axis 1 into [8, 4] : (!nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 8, 4], f32>
    %k1 = nn.split %k0 axis 1 into [4, 4] : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 4, 4], f32>
    %v1 = nn.split %v0 axis 1 into [4, 4] : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 4, 4], f32>
    %k = nn.repeat %k1 axis 1 times 2 : (!nn.tensor<example, [seq, 4, 4], f32>) -> !nn.tensor<example, [seq, 8, 4], f32>
    %v = nn.repeat %v1 axis 1 times 2 : (!nn.tensor<example, [seq, 4, 4], f32>) -> !nn.tensor<example, [seq, 8, 4], f32>
    %s = nn.contract "abc,dbc->bad" %q, %k over_examples false : (!nn.tensor<example, [seq, 8, 4], f32>, !nn.tensor<example, [seq, 8, 4], f32>) -> !nn.tensor<example, [8, seq, seq], f32>
    %lowest = nn.constant(-1.000000e+30 : f64) : !nn.tensor<[], f32>
    %i = nn.iota %in axis 0 : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq], i64>
    %i1 = nn.expand_dims %i axis 0 : (!nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [1, seq], i64>
    %key = nn.expand_dims %i1 axis 1 : (!nn.tensor<example, [1, seq], i64>) -> !nn.tensor<example, [1, 1, seq], i64>
    %row = nn.expand_dims %i1 axis 2 : (!nn.tensor<example, [1, seq], i64>) -> !nn.tensor<example, [1, seq, 1], i64>
    %m = nn.reduce "max" %s axes [2] keep true over_examples false : (!nn.tensor<example, [8, seq, seq], f32>) -> !nn.tensor<example, [8, seq, 1], f32>
    %d = nn.sub %s, %m : (!nn.tensor<example, [8, seq, seq], f32>, !nn.tensor<example, [8, seq, 1], f32>) -> !nn.tensor<example, [8, seq, seq], f32>
    %e = nn.exp %d : (!nn.tensor<example, [8, seq, seq], f32>) -> !nn.tensor<example, [8, seq, seq], f32>
    %t = nn.reduce "sum" %e axes [2] keep true over_examples false : (!nn.tensor<example, [8, seq, seq], f32>) -> !nn.tensor<example, [8, seq, 1], f32>
    %p = nn.div %e, %t : (!nn.tensor<example, [8, seq, seq], f32>, !nn.tensor<example, [8, seq, 1], f32>) -> !nn.tensor<example, [8, seq, seq], f32>
    %c = nn.contract "bad,dbc->abc" %p, %v over_examples false : (!nn.tensor<example, [8, seq, seq], f32>, !nn.tensor<example, [seq, 8, 4], f32>) -> !nn.tensor<example, [seq, 8, 4], f32>
    %c0 = nn.merge %c axis 1 count 2 : (!nn.tensor<example, [seq, 8, 4], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %wo = nn.param "Wo" : !nn.tensor<[16, 32], f32>
    %y = nn.contract "ay,zy->az" %c0, %wo over_examples false : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<[16, 32], f32>) -> !nn.tensor<example, [seq, 16], f32>
    return %y : !nn.tensor<example, [seq, 16], f32>
  }

  // Three keys that stand before a text, which all its tokens see.
  // CHECK-LABEL: plan.program @behind
  // CHECK: plan.attention({{.*}}) scale 1.000000e+00 right 0
  func.func @behind(%in: !nn.tensor<example, [seq, 16], f32> {nn.name = "in"}, %kin: !nn.tensor<example, [seq+3, 2, 8], bf16> {nn.name = "k"}, %vin: !nn.tensor<example, [seq+3, 2, 8], bf16> {nn.name = "v"}) -> (!nn.tensor<example, [seq, 16], f32> {nn.name = "y"}) {
    %x = nn.exp %in : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %wq = nn.param "Wq" : !nn.tensor<[32, 16], f32>
    %q0 = nn.contract "ay,zy->az" %x, %wq over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[32, 16], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %q = nn.split %q0 axis 1 into [4, 8] : (!nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %k1 = nn.cast %kin to f32 : (!nn.tensor<example, [seq+3, 2, 8], bf16>) -> !nn.tensor<example, [seq+3, 2, 8], f32>
    %v1 = nn.cast %vin to f32 : (!nn.tensor<example, [seq+3, 2, 8], bf16>) -> !nn.tensor<example, [seq+3, 2, 8], f32>
    %k = nn.repeat %k1 axis 1 times 2 : (!nn.tensor<example, [seq+3, 2, 8], f32>) -> !nn.tensor<example, [seq+3, 4, 8], f32>
    %v = nn.repeat %v1 axis 1 times 2 : (!nn.tensor<example, [seq+3, 2, 8], f32>) -> !nn.tensor<example, [seq+3, 4, 8], f32>
    %s = nn.contract "abc,dbc->bad" %q, %k over_examples false : (!nn.tensor<example, [seq, 4, 8], f32>, !nn.tensor<example, [seq+3, 4, 8], f32>) -> !nn.tensor<example, [4, seq, seq+3], f32>
    %lowest = nn.constant(-1.000000e+30 : f64) : !nn.tensor<[], f32>
    %i0 = nn.iota %kin axis 0 : (!nn.tensor<example, [seq+3, 2, 8], bf16>) -> !nn.tensor<example, [seq+3], i64>
    %three = nn.constant(3 : i64) : !nn.tensor<[], i64>
    %i1 = nn.sub %i0, %three : (!nn.tensor<example, [seq+3], i64>, !nn.tensor<[], i64>) -> !nn.tensor<example, [seq+3], i64>
    %i2 = nn.expand_dims %i1 axis 0 : (!nn.tensor<example, [seq+3], i64>) -> !nn.tensor<example, [1, seq+3], i64>
    %key = nn.expand_dims %i2 axis 1 : (!nn.tensor<example, [1, seq+3], i64>) -> !nn.tensor<example, [1, 1, seq+3], i64>
    %r0 = nn.iota %in axis 0 : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq], i64>
    %r1 = nn.expand_dims %r0 axis 0 : (!nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [1, seq], i64>
    %row = nn.expand_dims %r1 axis 2 : (!nn.tensor<example, [1, seq], i64>) -> !nn.tensor<example, [1, seq, 1], i64>
    %seen = nn.le %key, %row : (!nn.tensor<example, [1, 1, seq+3], i64>, !nn.tensor<example, [1, seq, 1], i64>) -> !nn.tensor<example, [1, seq, seq+3], i1>
    %w = nn.select %seen, %s, %lowest : (!nn.tensor<example, [1, seq, seq+3], i1>, !nn.tensor<example, [4, seq, seq+3], f32>, !nn.tensor<[], f32>) -> !nn.tensor<example, [4, seq, seq+3], f32>
    %m = nn.reduce "max" %w axes [2] keep true over_examples false : (!nn.tensor<example, [4, seq, seq+3], f32>) -> !nn.tensor<example, [4, seq, 1], f32>
    %d = nn.sub %w, %m : (!nn.tensor<example, [4, seq, seq+3], f32>, !nn.tensor<example, [4, seq, 1], f32>) -> !nn.tensor<example, [4, seq, seq+3], f32>
    %e = nn.exp %d : (!nn.tensor<example, [4, seq, seq+3], f32>) -> !nn.tensor<example, [4, seq, seq+3], f32>
    %t = nn.reduce "sum" %e axes [2] keep true over_examples false : (!nn.tensor<example, [4, seq, seq+3], f32>) -> !nn.tensor<example, [4, seq, 1], f32>
    %p = nn.div %e, %t : (!nn.tensor<example, [4, seq, seq+3], f32>, !nn.tensor<example, [4, seq, 1], f32>) -> !nn.tensor<example, [4, seq, seq+3], f32>
    %c = nn.contract "bad,dbc->abc" %p, %v over_examples false : (!nn.tensor<example, [4, seq, seq+3], f32>, !nn.tensor<example, [seq+3, 4, 8], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %c0 = nn.merge %c axis 1 count 2 : (!nn.tensor<example, [seq, 4, 8], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %wo = nn.param "Wo" : !nn.tensor<[16, 32], f32>
    %y = nn.contract "ay,zy->az" %c0, %wo over_examples false : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<[16, 32], f32>) -> !nn.tensor<example, [seq, 16], f32>
    return %y : !nn.tensor<example, [seq, 16], f32>
  }

  // Three keys too few: the library has no such bound.
  // CHECK-LABEL: plan.program @before
  // CHECK-NOT: plan.attention(
  // CHECK: plan.attention_note = "generated: its mask is another one than how far a token sees"
  func.func @before(%in: !nn.tensor<example, [seq, 16], f32> {nn.name = "in"}, %kin: !nn.tensor<example, [seq+3, 2, 8], bf16> {nn.name = "k"}, %vin: !nn.tensor<example, [seq+3, 2, 8], bf16> {nn.name = "v"}) -> (!nn.tensor<example, [seq, 16], f32> {nn.name = "y"}) {
    %x = nn.exp %in : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %wq = nn.param "Wq" : !nn.tensor<[32, 16], f32>
    %q0 = nn.contract "ay,zy->az" %x, %wq over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[32, 16], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %q = nn.split %q0 axis 1 into [4, 8] : (!nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %k1 = nn.cast %kin to f32 : (!nn.tensor<example, [seq+3, 2, 8], bf16>) -> !nn.tensor<example, [seq+3, 2, 8], f32>
    %v1 = nn.cast %vin to f32 : (!nn.tensor<example, [seq+3, 2, 8], bf16>) -> !nn.tensor<example, [seq+3, 2, 8], f32>
    %k = nn.repeat %k1 axis 1 times 2 : (!nn.tensor<example, [seq+3, 2, 8], f32>) -> !nn.tensor<example, [seq+3, 4, 8], f32>
    %v = nn.repeat %v1 axis 1 times 2 : (!nn.tensor<example, [seq+3, 2, 8], f32>) -> !nn.tensor<example, [seq+3, 4, 8], f32>
    %s = nn.contract "abc,dbc->bad" %q, %k over_examples false : (!nn.tensor<example, [seq, 4, 8], f32>, !nn.tensor<example, [seq+3, 4, 8], f32>) -> !nn.tensor<example, [4, seq, seq+3], f32>
    %lowest = nn.constant(-1.000000e+30 : f64) : !nn.tensor<[], f32>
    %i0 = nn.iota %kin axis 0 : (!nn.tensor<example, [seq+3, 2, 8], bf16>) -> !nn.tensor<example, [seq+3], i64>
    %three = nn.constant(0 : i64) : !nn.tensor<[], i64>
    %i1 = nn.sub %i0, %three : (!nn.tensor<example, [seq+3], i64>, !nn.tensor<[], i64>) -> !nn.tensor<example, [seq+3], i64>
    %i2 = nn.expand_dims %i1 axis 0 : (!nn.tensor<example, [seq+3], i64>) -> !nn.tensor<example, [1, seq+3], i64>
    %key = nn.expand_dims %i2 axis 1 : (!nn.tensor<example, [1, seq+3], i64>) -> !nn.tensor<example, [1, 1, seq+3], i64>
    %r0 = nn.iota %in axis 0 : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq], i64>
    %r1 = nn.expand_dims %r0 axis 0 : (!nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [1, seq], i64>
    %row = nn.expand_dims %r1 axis 2 : (!nn.tensor<example, [1, seq], i64>) -> !nn.tensor<example, [1, seq, 1], i64>
    %seen = nn.le %key, %row : (!nn.tensor<example, [1, 1, seq+3], i64>, !nn.tensor<example, [1, seq, 1], i64>) -> !nn.tensor<example, [1, seq, seq+3], i1>
    %w = nn.select %seen, %s, %lowest : (!nn.tensor<example, [1, seq, seq+3], i1>, !nn.tensor<example, [4, seq, seq+3], f32>, !nn.tensor<[], f32>) -> !nn.tensor<example, [4, seq, seq+3], f32>
    %m = nn.reduce "max" %w axes [2] keep true over_examples false : (!nn.tensor<example, [4, seq, seq+3], f32>) -> !nn.tensor<example, [4, seq, 1], f32>
    %d = nn.sub %w, %m : (!nn.tensor<example, [4, seq, seq+3], f32>, !nn.tensor<example, [4, seq, 1], f32>) -> !nn.tensor<example, [4, seq, seq+3], f32>
    %e = nn.exp %d : (!nn.tensor<example, [4, seq, seq+3], f32>) -> !nn.tensor<example, [4, seq, seq+3], f32>
    %t = nn.reduce "sum" %e axes [2] keep true over_examples false : (!nn.tensor<example, [4, seq, seq+3], f32>) -> !nn.tensor<example, [4, seq, 1], f32>
    %p = nn.div %e, %t : (!nn.tensor<example, [4, seq, seq+3], f32>, !nn.tensor<example, [4, seq, 1], f32>) -> !nn.tensor<example, [4, seq, seq+3], f32>
    %c = nn.contract "bad,dbc->abc" %p, %v over_examples false : (!nn.tensor<example, [4, seq, seq+3], f32>, !nn.tensor<example, [seq+3, 4, 8], f32>) -> !nn.tensor<example, [seq, 4, 8], f32>
    %c0 = nn.merge %c axis 1 count 2 : (!nn.tensor<example, [seq, 4, 8], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %wo = nn.param "Wo" : !nn.tensor<[16, 32], f32>
    %y = nn.contract "ay,zy->az" %c0, %wo over_examples false : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<[16, 32], f32>) -> !nn.tensor<example, [seq, 16], f32>
    return %y : !nn.tensor<example, [seq, 16], f32>
  }
}
