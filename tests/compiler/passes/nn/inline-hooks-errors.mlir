// RUN: peft-opt --nn-inline-hooks --split-input-file --verify-diagnostics %s
// A network without a root, without a loss, and a point that is read before there is one.
// expected-error@+1 {{there is no peft.module @model}}
module {
}

// -----
module {
  // expected-error@+1 {{the model has no point `loss`}}
  peft.module @model kinds ["model"] inputs ["h"] dims {} {
  ^bb0(%h: !nn.tensor<example, [], f32>):
    %0 = peft.point "logits" %h : !nn.tensor<example, [], f32>
    peft.yield %0 : !nn.tensor<example, [], f32>
  }
}

// -----
module {
  peft.module @model kinds ["model"] inputs ["h"] dims {} {
  ^bb0(%h: !nn.tensor<example, [], f32>):
    %0 = peft.point "logits" %h : !nn.tensor<example, [], f32>
    %1 = peft.point "loss" %0 : !nn.tensor<example, [], f32>
    peft.yield %1 : !nn.tensor<example, [], f32>
  }
  peft.instance @model attach 0 "m" {
    // expected-error@+1 {{`loss` of `model` is read before it is computed}}
    %0 = peft.read @model "loss" : !nn.tensor<example, [], f32>
    peft.rewire @model "logits" %0 : !nn.tensor<example, [], f32>
  }
}
