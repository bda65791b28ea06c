// RUN: peft-opt %s | peft-opt | FileCheck %s
// RUN: peft-opt %s -mlir-print-op-generic | peft-opt | FileCheck %s
// Every op of `nn` through its own text and the generic one.
module {
  // CHECK: nn.parameter @W "base" trainable false : !nn.tensor<[5, 4], f32> {checkpoint = "w.weight"}
  nn.parameter @W "base" trainable false : !nn.tensor<[5, 4], f32> {checkpoint = "w.weight"}

  // CHECK-LABEL: func.func @sources
  func.func @sources(%x: !nn.tensor<example, [seq, 4], f32>) {
    // CHECK: nn.param "W" : !nn.tensor<[5, 4], f32>
    %w = nn.param "W" : !nn.tensor<[5, 4], f32>
    // CHECK: nn.constant(2.500000e+00 : f64) : !nn.tensor<[], f32>
    %c = nn.constant(2.5 : f64) : !nn.tensor<[], f32>
    // CHECK: nn.literal
    %l = nn.literal [1.0, 0.0] : !nn.tensor<[2], f32>
    // CHECK: nn.iota %{{.*}} axis 0
    %i = nn.iota %x axis 0 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq], i64>
    // CHECK: nn.dim %{{.*}} axis 0
    %d = nn.dim %x axis 0 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [], i64>
    // CHECK: nn.random "normal" site 7 per "step" -> !nn.tensor<[3], f32>
    %r = nn.random "normal" site 7 per "step" -> !nn.tensor<[3], f32>
    // CHECK: nn.random "uniform" like %{{.*}} site 8 per "token"
    %u = nn.random "uniform" like %x : !nn.tensor<example, [seq, 4], f32> site 8 per "token" -> !nn.tensor<example, [seq, 4], f32>
    // CHECK: nn.by_mode
    %m = nn.by_mode %x, %u : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return
  }

  // CHECK-LABEL: func.func @elementwise
  func.func @elementwise(%x: !nn.tensor<example, [seq, 4], f32>, %v: !nn.tensor<[4], f32>) {
    // CHECK-COUNT-11: nn.{{neg|exp|log|sqrt|rsqrt|tanh|erf|sin|cos|abs|sign}} %
    %0 = nn.neg %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %1 = nn.exp %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %2 = nn.log %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %3 = nn.sqrt %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %4 = nn.rsqrt %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %5 = nn.tanh %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %6 = nn.erf %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %7 = nn.sin %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %8 = nn.cos %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %9 = nn.abs %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %10 = nn.sign %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    // CHECK: nn.floor
    %11 = nn.floor %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    // CHECK-COUNT-7: nn.{{add|sub|mul|div|pow|max|min}} %{{.*}}, %{{.*}} : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>)
    %12 = nn.add %x, %v : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %13 = nn.sub %x, %v : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %14 = nn.mul %x, %v : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %15 = nn.div %x, %v : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %16 = nn.pow %x, %v : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %17 = nn.max %x, %v : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %18 = nn.min %x, %v : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    // CHECK-COUNT-6: nn.{{lt|le|eq|ne|gt|ge}} {{.*}} -> !nn.tensor<example, [seq, 4], i1>
    %19 = nn.lt %x, %v : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], i1>
    %20 = nn.le %x, %v : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], i1>
    %21 = nn.eq %x, %v : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], i1>
    %22 = nn.ne %x, %v : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], i1>
    %23 = nn.gt %x, %v : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], i1>
    %24 = nn.ge %x, %v : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], i1>
    // CHECK: nn.and
    %25 = nn.and %19, %20 : (!nn.tensor<example, [seq, 4], i1>, !nn.tensor<example, [seq, 4], i1>) -> !nn.tensor<example, [seq, 4], i1>
    // CHECK: nn.or
    %26 = nn.or %19, %20 : (!nn.tensor<example, [seq, 4], i1>, !nn.tensor<example, [seq, 4], i1>) -> !nn.tensor<example, [seq, 4], i1>
    // CHECK: nn.not
    %27 = nn.not %25 : (!nn.tensor<example, [seq, 4], i1>) -> !nn.tensor<example, [seq, 4], i1>
    // CHECK: nn.cast %{{.*}} to f32
    %28 = nn.cast %27 to f32 : (!nn.tensor<example, [seq, 4], i1>) -> !nn.tensor<example, [seq, 4], f32>
    // CHECK: nn.select
    %29 = nn.select %27, %x, %28 : (!nn.tensor<example, [seq, 4], i1>, !nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    // CHECK: nn.stop_grad
    %30 = nn.stop_grad %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    // CHECK: nn.gradient %{{.*}} by %{{.*}} -> !nn.tensor<example, [seq, 4], f32>
    %one = nn.reduce "sum" %x axes [0, 1] keep false over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [], f32>
    %gradient = nn.gradient %one by %x : (!nn.tensor<example, [], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return
  }

  // CHECK-LABEL: func.func @shapes
  func.func @shapes(%x: !nn.tensor<example, [seq, 4], f32>, %t: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>) {
    // CHECK: nn.reduce "max" %{{.*}} axes [1] keep true over_examples false
    %0 = nn.reduce "max" %x axes [1] keep true over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 1], f32>
    // CHECK: nn.reduce "sum" %{{.*}} axes [0] keep false over_examples true {{.*}} -> !nn.tensor<[4], f32>
    %1 = nn.reduce "sum" %x axes [0] keep false over_examples true : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<[4], f32>
    // CHECK: nn.argmax %{{.*}} axis 1
    %2 = nn.argmax %x axis 1 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq], i64>
    // CHECK: nn.ranks %{{.*}} axis 0 : {{.*}} -> !nn.tensor<example, [seq], f32>
    %ranks = nn.ranks %i axis 0 : (!nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [seq], f32>
    // CHECK: nn.order %{{.*}} axis 1 : {{.*}} -> !nn.tensor<example, [seq, 4], i64>
    %order = nn.order %x axis 1 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], i64>
    // CHECK: nn.all_rows {{.*}} -> !nn.tensor<example, [seq, 4], f32>
    %rows = nn.all_rows %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    // CHECK: nn.contract "ay,zy->az"
    %3 = nn.contract "ay,zy->az" %x, %t over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[9, 4], f32>) -> !nn.tensor<example, [seq, 9], f32>
    // CHECK: nn.inverse %{{.*}} : {{.*}} -> !nn.tensor<example, [seq, 2, 2], f32>
    %squares = nn.split %x axis 1 into [2, 2] : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 2, 2], f32>
    %inverse = nn.inverse %squares : (!nn.tensor<example, [seq, 2, 2], f32>) -> !nn.tensor<example, [seq, 2, 2], f32>
    // CHECK: nn.transpose %{{.*}} [1, 0]
    %4 = nn.transpose %x [1, 0] : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [4, seq], f32>
    // CHECK: nn.split %{{.*}} axis 1 into [2, 2]
    %5 = nn.split %x axis 1 into [2, 2] : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 2, 2], f32>
    // CHECK: nn.merge %{{.*}} axis 1 count 2
    %6 = nn.merge %5 axis 1 count 2 : (!nn.tensor<example, [seq, 2, 2], f32>) -> !nn.tensor<example, [seq, 4], f32>
    // CHECK: nn.split %{{.*}} axis 0 into [-1, 4] {{.*}} -> !nn.tensor<example, [seq, 4], f32>
    %flat = nn.merge %x axis 0 count 2 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [4*seq], f32>
    %back = nn.split %flat axis 0 into [-1, 4] : (!nn.tensor<example, [4*seq], f32>) -> !nn.tensor<example, [seq, 4], f32>
    // CHECK: nn.expand_dims %{{.*}} axis 0
    %7 = nn.expand_dims %x axis 0 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [1, seq, 4], f32>
    // CHECK: nn.squeeze %{{.*}} axis 0
    %8 = nn.squeeze %7 axis 0 : (!nn.tensor<example, [1, seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    // CHECK: nn.broadcast {{.*}} -> !nn.tensor<example, [seq, 4], f32>
    %9 = nn.broadcast %1 : (!nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    // CHECK: nn.slice %{{.*}} axis 1 from <1, 0> to <3, 0> step 1
    %10 = nn.slice %x axis 1 from <1, 0> to <3, 0> step 1 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 2], f32>
    // CHECK: nn.slice %{{.*}} axis 0 from <1, 0> step 1 {{.*}} -> !nn.tensor<example, [seq-1, 4], f32>
    %11 = nn.slice %x axis 0 from <1, 0> step 1 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq-1, 4], f32>
    // CHECK: nn.pad %{{.*}} axis 1 at <1, 0> step 1
    %12 = nn.pad %10 axis 1 at <1, 0> step 1 : (!nn.tensor<example, [seq, 2], f32>) -> !nn.tensor<example, [seq, 4], f32>
    // CHECK: nn.concat {{.*}} axis 0 {{.*}} -> !nn.tensor<example, [seq+9, 4], f32>
    %13 = nn.concat %t, %x axis 0 : (!nn.tensor<[9, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq+9, 4], f32>
    // CHECK: nn.roll %{{.*}} axis 1 by -2
    %roll = nn.roll %x axis 1 by -2 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    // CHECK: nn.repeat %{{.*}} axis 1 times 3 {{.*}} -> !nn.tensor<example, [seq, 12], f32>
    %repeat = nn.repeat %x axis 1 times 3 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 12], f32>
    // CHECK: nn.origin {{.*}} -> !nn.tensor<example, [seq+9], i64>
    %origin = nn.origin %13, %x : (!nn.tensor<example, [seq+9, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq+9], i64>
    // CHECK: nn.gather
    %14 = nn.gather %t, %i : (!nn.tensor<[9, 4], f32>, !nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [seq, 4], f32>
    // CHECK: nn.scatter_add %{{.*}}, %{{.*}} rows <9, 0> over_examples true
    %15 = nn.scatter_add %i, %14 rows <9, 0> over_examples true : (!nn.tensor<example, [seq], i64>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<[9, 4], f32>
    return
  }
}
