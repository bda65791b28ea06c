// RUN: peft-opt --plan-form-kernels %s | FileCheck %s
// Elementwise ops and reductions between two products are one kernel; what a later kernel can make again from what is in memory is not kept, but a row's number is.
module {
  // CHECK: plan.program @train_step
  // CHECK: %[[P:.*]] = plan.product
  // CHECK: %[[K:.*]]:2 = plan.kernel "rows"(%[[P]]) sites []
  // CHECK: nn.exp
  // CHECK: nn.reduce "sum"
  // CHECK: nn.div
  // CHECK: plan.yield
  // CHECK: %[[Q:.*]] = plan.product "ay,zy->az" %[[K]]#0
  // CHECK: %[[L:.*]] = plan.kernel "rows"(
  // CHECK-DAG: nn.exp
  // CHECK-NOT: nn.reduce
  // CHECK: plan.return %[[L]]
  plan.program @train_step inputs ["x", "w"] results ["y"] {
  ^bb0(%x: !nn.tensor<example, [seq, 4], f32>, %w: !nn.tensor<[4, 4], f32>):
    %p = plan.product "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %e = nn.exp %p : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %s = nn.reduce "sum" %e axes [1] keep true over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 1], f32>
    %n = nn.div %e, %s : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 1], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %q = plan.product "ay,zy->az" %n, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %m = nn.mul %q, %e : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %d = nn.div %m, %s : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 1], f32>) -> !nn.tensor<example, [seq, 4], f32>
    plan.return %d : !nn.tensor<example, [seq, 4], f32>
  }

  // Attention: the products of a head are inside, and no matrix [rows, keys] is in memory.
  // CHECK: plan.program @eval
  // CHECK: plan.kernel "tiles"(%arg0) sites []
  // CHECK: nn.contract "ahd,bhd->hab"
  // CHECK: nn.exp
  // CHECK: nn.contract "hab,bhd->ahd"
  // CHECK: plan.yield %{{[0-9]+}} : !nn.tensor<example, [seq, 2, 2], f32>
  plan.program @eval inputs ["q"] results ["y"] {
  ^bb0(%h: !nn.tensor<example, [seq, 2, 2], f32>):
    %s = nn.contract "ahd,bhd->hab" %h, %h over_examples false : (!nn.tensor<example, [seq, 2, 2], f32>, !nn.tensor<example, [seq, 2, 2], f32>) -> !nn.tensor<example, [2, seq, seq], f32>
    %e = nn.exp %s : (!nn.tensor<example, [2, seq, seq], f32>) -> !nn.tensor<example, [2, seq, seq], f32>
    %r = nn.reduce "sum" %e axes [2] keep true over_examples false : (!nn.tensor<example, [2, seq, seq], f32>) -> !nn.tensor<example, [2, seq, 1], f32>
    %n = nn.div %e, %r : (!nn.tensor<example, [2, seq, seq], f32>, !nn.tensor<example, [2, seq, 1], f32>) -> !nn.tensor<example, [2, seq, seq], f32>
    %y = nn.contract "hab,bhd->ahd" %n, %h over_examples false : (!nn.tensor<example, [2, seq, seq], f32>, !nn.tensor<example, [seq, 2, 2], f32>) -> !nn.tensor<example, [seq, 2, 2], f32>
    plan.return %y : !nn.tensor<example, [seq, 2, 2], f32>
  }

  // A sum over rows is made beside what each row needs, of values that need no place; what reads it waits until all rows are done.
  // CHECK: plan.program @sums
  // CHECK: %[[S:.*]]:2 = plan.kernel "rows"
  // CHECK-DAG: nn.mul
  // CHECK-DAG: nn.reduce "sum" %{{.*}} axes [0] keep false over_examples true
  // CHECK: plan.yield %{{.*}}, %{{.*}} : !nn.tensor<[4], f32>, !nn.tensor<example, [seq, 4], f32>
  // CHECK: plan.product "ay,zy->az" %[[S]]#1
  // CHECK: plan.kernel "rows"({{.*}}%[[S]]#0
  plan.program @sums inputs ["x", "w"] results ["y", "z", "s"] {
  ^bb0(%x: !nn.tensor<example, [seq, 4], f32>, %w: !nn.tensor<[4, 4], f32>):
    %p = plan.product "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %e = nn.exp %p : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %m = nn.mul %e, %x : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %s = nn.reduce "sum" %m axes [0] keep false over_examples true : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<[4], f32>
    %y = plan.product "ay,zy->az" %e, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %z = nn.add %x, %s : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    plan.return %y, %z, %s : !nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>
  }

  // Rows in parts: a number of each part beside the part's vector, of the row's and of the run's; what reduces a part makes such a number.
  // CHECK: plan.program @predict
  // CHECK-NOT: why_alone
  // CHECK: plan.kernel "rows"(%arg2, %arg1, %arg0)
  // CHECK-DAG: nn.exp {{.*}}[seq, 3, 1]
  // CHECK-DAG: nn.reduce "sum" {{.*}} axes [2] keep false
  // CHECK: plan.yield
  plan.program @predict inputs ["x", "g", "t"] results ["y", "s"] {
  ^bb0(%x: !nn.tensor<example, [seq, 3, 4], f32>, %g: !nn.tensor<example, [seq, 3, 1], f32>, %t: !nn.tensor<[3, 1], f32>):
    %e = nn.exp %g : (!nn.tensor<example, [seq, 3, 1], f32>) -> !nn.tensor<example, [seq, 3, 1], f32>
    %m = nn.mul %x, %e : (!nn.tensor<example, [seq, 3, 4], f32>, !nn.tensor<example, [seq, 3, 1], f32>) -> !nn.tensor<example, [seq, 3, 4], f32>
    %y = nn.mul %m, %t : (!nn.tensor<example, [seq, 3, 4], f32>, !nn.tensor<[3, 1], f32>) -> !nn.tensor<example, [seq, 3, 4], f32>
    %s = nn.reduce "sum" %y axes [2] keep false over_examples false : (!nn.tensor<example, [seq, 3, 4], f32>) -> !nn.tensor<example, [seq, 3], f32>
    plan.return %y, %s : !nn.tensor<example, [seq, 3, 4], f32>, !nn.tensor<example, [seq, 3], f32>
  }

  // With as many parts as each is long, what a kernel of whole rows makes is not made again a part at a time.
  // CHECK: plan.program @eval_square
  // CHECK: %[[G:.*]] = plan.kernel "rows"(%arg1)
  // CHECK: nn.exp
  // CHECK: plan.kernel "rows"({{.*}}%[[G]]
  plan.program @eval_square inputs ["x", "g"] results ["y"] {
  ^bb0(%x: !nn.tensor<example, [seq, 4, 4], f32>, %g: !nn.tensor<example, [seq, 4, 1], f32>):
    %e = nn.exp %g : (!nn.tensor<example, [seq, 4, 1], f32>) -> !nn.tensor<example, [seq, 4, 1], f32>
    %m = nn.mul %x, %e : (!nn.tensor<example, [seq, 4, 4], f32>, !nn.tensor<example, [seq, 4, 1], f32>) -> !nn.tensor<example, [seq, 4, 4], f32>
    plan.return %m : !nn.tensor<example, [seq, 4, 4], f32>
  }

  // A program that is run once is left as it is.
  // CHECK: plan.program @init
  // CHECK-NOT: plan.kernel
  plan.program @init inputs ["x"] results ["y"] {
  ^bb0(%x: !nn.tensor<example, [seq, 4], f32>):
    %e = nn.exp %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    plan.return %e : !nn.tensor<example, [seq, 4], f32>
  }

  // A mask is counted out with what is true of a key wherever a row is, and a constant is known inside though something else has it in memory.
  // CHECK: plan.program @masked
  // CHECK: nn.concat
  // CHECK-NOT: plan.kernel "tiles"({{.*}},
  // CHECK: plan.kernel "tiles"(%arg0) sites []
  // CHECK-DAG: nn.or
  // CHECK-DAG: nn.constant(0.000000e+00 : f64)
  // CHECK: nn.select
  // CHECK-NOT: plan.kernel
  // CHECK: plan.return
  plan.program @masked inputs ["q"] results ["y", "z"] {
  ^bb0(%h: !nn.tensor<example, [seq, 2, 2], f32>):
    %zero = nn.constant(0.000000e+00 : f64) : !nn.tensor<[], f32>
    %z1 = nn.expand_dims %zero axis 0 : (!nn.tensor<[], f32>) -> !nn.tensor<[1], f32>
    %z = nn.concat %z1, %z1 axis 0 : (!nn.tensor<[1], f32>, !nn.tensor<[1], f32>) -> !nn.tensor<[2], f32>
    %i = nn.iota %h axis 0 : (!nn.tensor<example, [seq, 2, 2], f32>) -> !nn.tensor<example, [seq], i64>
    %i1 = nn.expand_dims %i axis 0 : (!nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [1, seq], i64>
    %key = nn.expand_dims %i1 axis 1 : (!nn.tensor<example, [1, seq], i64>) -> !nn.tensor<example, [1, 1, seq], i64>
    %row = nn.expand_dims %i1 axis 2 : (!nn.tensor<example, [1, seq], i64>) -> !nn.tensor<example, [1, seq, 1], i64>
    %three = nn.constant(3 : i64) : !nn.tensor<[], i64>
    %early = nn.lt %key, %three : (!nn.tensor<example, [1, 1, seq], i64>, !nn.tensor<[], i64>) -> !nn.tensor<example, [1, 1, seq], i1>
    %behind = nn.le %key, %row : (!nn.tensor<example, [1, 1, seq], i64>, !nn.tensor<example, [1, seq, 1], i64>) -> !nn.tensor<example, [1, seq, seq], i1>
    %seen = nn.or %behind, %early : (!nn.tensor<example, [1, seq, seq], i1>, !nn.tensor<example, [1, 1, seq], i1>) -> !nn.tensor<example, [1, seq, seq], i1>
    %s = nn.contract "ahd,bhd->hab" %h, %h over_examples false : (!nn.tensor<example, [seq, 2, 2], f32>, !nn.tensor<example, [seq, 2, 2], f32>) -> !nn.tensor<example, [2, seq, seq], f32>
    %m = nn.select %seen, %s, %zero : (!nn.tensor<example, [1, seq, seq], i1>, !nn.tensor<example, [2, seq, seq], f32>, !nn.tensor<[], f32>) -> !nn.tensor<example, [2, seq, seq], f32>
    %y = nn.contract "hab,bhd->ahd" %m, %h over_examples false : (!nn.tensor<example, [2, seq, seq], f32>, !nn.tensor<example, [seq, 2, 2], f32>) -> !nn.tensor<example, [seq, 2, 2], f32>
    plan.return %y, %z : !nn.tensor<example, [seq, 2, 2], f32>, !nn.tensor<[2], f32>
  }
}
