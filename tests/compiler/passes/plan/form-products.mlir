// RUN: peft-opt --plan-form-products %s | FileCheck %s
// A contract that is one matrix product of the batch is a product; a product added to another one adds to its bytes, across a bias between them.
module {
  // CHECK: plan.program @branch
  // CHECK: %[[Y:.*]] = plan.product "ay,zy->az" %arg0, %arg1 over_examples false
  // CHECK: %[[SUM:.*]] = plan.product "ay,zy->az" %arg0, %arg2 plus %[[Y]] over_examples false
  // CHECK: nn.add %[[SUM]], %arg3
  plan.program @branch inputs ["x", "w", "u", "b"] results ["y"] {
  ^bb0(%x: !nn.tensor<example, [seq, 4], f32>, %w: !nn.tensor<[4, 4], f32>, %u: !nn.tensor<[4, 4], f32>, %b: !nn.tensor<[4], f32>):
    %y = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %biased = nn.add %y, %b : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %h = nn.contract "ay,zy->az" %x, %u over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %s = nn.add %biased, %h : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    plan.return %s : !nn.tensor<example, [seq, 4], f32>
  }

  // A product of little depth is a branch of another, whichever comes first, and whatever that one is added to.
  // CHECK: plan.program @thin
  // CHECK: %[[H:.*]] = plan.product "ay,zy->az" %arg0, %arg2 over_examples false
  // CHECK-NEXT: %[[ONE:.*]] = plan.product "ay,zy->az" %arg0, %arg1 and "ay,zy->az" %[[H]], %arg3 over_examples false
  // CHECK: %[[P:.*]] = plan.product "ay,zy->az" %{{.*}}, %arg1 over_examples false
  // CHECK-NEXT: %[[TWO:.*]] = plan.product "ay,zy->az" %{{.*}}, %arg1 and "ay,zy->az" %[[H]], %arg3 plus %[[P]] over_examples false
  // CHECK-NEXT: plan.return %[[TWO]]
  plan.program @thin inputs ["x", "w", "a", "b"] results ["y"] {
  ^bb0(%x: !nn.tensor<example, [seq, 4], f32>, %w: !nn.tensor<[4, 4], f32>, %a: !nn.tensor<[1, 4], f32>, %b: !nn.tensor<[4, 1], f32>):
    %h = nn.contract "ay,zy->az" %x, %a over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[1, 4], f32>) -> !nn.tensor<example, [seq, 1], f32>
    %t = nn.contract "ay,zy->az" %h, %b over_examples false : (!nn.tensor<example, [seq, 1], f32>, !nn.tensor<[4, 1], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %y = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %s = nn.add %t, %y : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %v = nn.contract "ay,zy->az" %s, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %u = nn.contract "ay,zy->az" %h, %b over_examples false : (!nn.tensor<example, [seq, 1], f32>, !nn.tensor<[4, 1], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %p = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %r = nn.add %p, %v : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %q = nn.add %r, %u : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    plan.return %q : !nn.tensor<example, [seq, 4], f32>
  }

  // Of a sum of two products, each with a branch made of its input (times a number or not), each gets its own, in whatever order they are added.
  // CHECK: plan.program @own
  // CHECK: %[[GV:.*]] = plan.product "ay,zy->az" %arg0, %arg2 over_examples false
  // CHECK: %[[FIRST:.*]] = plan.product "ay,zy->az" %arg0, %arg3 and "ay,zy->az" %[[GV]], %arg4 over_examples false
  // CHECK: %[[G:.*]] = plan.product "ay,zy->az" %arg1, %arg2 over_examples false
  // CHECK: %[[GK:.*]] = nn.mul %[[G]], %{{.*}}
  // CHECK: %[[SECOND:.*]] = plan.product "ay,zy->az" %arg1, %arg3 and "ay,zy->az" %[[GK]], %arg4 plus %[[FIRST]] over_examples false
  // CHECK: nn.add %[[SECOND]], %arg0
  plan.program @own inputs ["v", "k", "b", "w", "a"] results ["y"] {
  ^bb0(%v: !nn.tensor<example, [seq, 4], f32>, %k: !nn.tensor<example, [seq, 4], f32>, %b: !nn.tensor<[1, 4], f32>, %w: !nn.tensor<[4, 4], f32>, %a: !nn.tensor<[4, 1], f32>):
    %gv = nn.contract "ay,zy->az" %v, %b over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[1, 4], f32>) -> !nn.tensor<example, [seq, 1], f32>
    %vw = nn.contract "ay,zy->az" %v, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %va = nn.contract "ay,zy->az" %gv, %a over_examples false : (!nn.tensor<example, [seq, 1], f32>, !nn.tensor<[4, 1], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %g = nn.contract "ay,zy->az" %k, %b over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[1, 4], f32>) -> !nn.tensor<example, [seq, 1], f32>
    %two = nn.constant(2.0 : f64) : !nn.tensor<[], f32>
    %gk = nn.mul %g, %two : (!nn.tensor<example, [seq, 1], f32>, !nn.tensor<[], f32>) -> !nn.tensor<example, [seq, 1], f32>
    %kw = nn.contract "ay,zy->az" %k, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %ka = nn.contract "ay,zy->az" %gk, %a over_examples false : (!nn.tensor<example, [seq, 1], f32>, !nn.tensor<[4, 1], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %s1 = nn.add %vw, %ka : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %s2 = nn.add %s1, %v : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %s3 = nn.add %kw, %va : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %s4 = nn.add %s2, %s3 : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    plan.return %s4 : !nn.tensor<example, [seq, 4], f32>
  }

  // Somebody else reads the first product: it keeps its bytes.
  // CHECK: plan.program @shared
  // CHECK-NOT: plus
  // CHECK: nn.add
  plan.program @shared inputs ["x", "w", "u"] results ["y", "s"] {
  ^bb0(%x: !nn.tensor<example, [seq, 4], f32>, %w: !nn.tensor<[4, 4], f32>, %u: !nn.tensor<[4, 4], f32>):
    %y = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %h = nn.contract "ay,zy->az" %x, %u over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %s = nn.add %y, %h : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    plan.return %y, %s : !nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>
  }
}
