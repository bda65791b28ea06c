// RUN: peft-opt %s --split-input-file --verify-diagnostics
// The labelled constraints of PeftOps.td.
// module_c1
// expected-error@+1 {{names 2 inputs, its region has 1}}
peft.module @m kinds [] inputs ["a", "b"] dims {} {
^bb0(%x: !nn.tensor<example, [seq, 4], f32>):
  peft.yield %x : !nn.tensor<example, [seq, 4], f32>
}

// -----
// module_c2
// expected-error@+1 {{does not end in peft.yield}}
peft.module @m kinds [] inputs ["a"] dims {} {
^bb0(%x: !nn.tensor<example, [seq, 4], f32>):
  %0 = peft.point "a" %x : !nn.tensor<example, [seq, 4], f32>
}

// -----
// call_c1
peft.module @m kinds [] inputs ["a"] dims {} {
^bb0(%x: !nn.tensor<example, [seq, 4], f32>):
  // expected-error@+1 {{there is no module `n`}}
  %0 = peft.call @n(%x) : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  peft.yield %0 : !nn.tensor<example, [seq, 4], f32>
}

// -----
// call_c2
peft.module @n kinds [] inputs ["a", "b"] dims {} {
^bb0(%x: !nn.tensor<example, [seq, 4], f32>, %y: !nn.tensor<example, [seq, 4], f32>):
  peft.yield %x : !nn.tensor<example, [seq, 4], f32>
}
peft.module @m kinds [] inputs ["a"] dims {} {
^bb0(%x: !nn.tensor<example, [seq, 4], f32>):
  // expected-error@+1 {{`n` has 2 inputs, given are 1}}
  %0 = peft.call @n(%x) : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  peft.yield %0 : !nn.tensor<example, [seq, 4], f32>
}

// -----
// instance_c1
// expected-error@+1 {{there is no module `gone`}}
peft.instance @gone attach 0 "m" {
}

// -----
// read_c1
peft.module @m kinds [] inputs ["a"] dims {} {
^bb0(%x: !nn.tensor<example, [seq, 4], f32>):
  %0 = peft.point "a" %x : !nn.tensor<example, [seq, 4], f32>
  peft.yield %0 : !nn.tensor<example, [seq, 4], f32>
}
peft.instance @m attach 0 "m" {
  // expected-error@+1 {{`m` has no point `z`}}
  %0 = peft.read @m "z" : !nn.tensor<example, [seq, 4], f32>
}

// -----
// rewire_c1
peft.module @m kinds [] inputs ["a"] dims {} {
^bb0(%x: !nn.tensor<example, [seq, 4], f32>):
  %0 = peft.point "a" %x : !nn.tensor<example, [seq, 4], f32>
  peft.yield %0 : !nn.tensor<example, [seq, 4], f32>
}
peft.instance @m attach 0 "m" {
  %0 = peft.read @m "a" : !nn.tensor<example, [seq, 4], f32>
  // expected-error@+1 {{`m` has no point `y`}}
  peft.rewire @m "y" %0 : !nn.tensor<example, [seq, 4], f32>
}

// -----
// parent
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>) {
  // expected-error@+1 {{expects parent op 'peft.instance'}}
  peft.loss %x : !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
// base_c1
peft.module @m kinds [] inputs ["a", "b"] dims {} {
^bb0(%x: !nn.tensor<example, [seq, 4], f32>, %y: !nn.tensor<example, [seq, 4], f32>):
  %0 = peft.point "a" %x : !nn.tensor<example, [seq, 4], f32>
  peft.yield %0 : !nn.tensor<example, [seq, 4], f32>
}
peft.instance @m attach 0 "m" {
  %0 = peft.read @m "a" : !nn.tensor<example, [seq, 4], f32>
  // expected-error@+1 {{`m` has 2 inputs, given are 1}}
  %1 = peft.base @m(%0) : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
}

// -----
// base_c1
peft.module @m kinds [] inputs ["a"] dims {} {
^bb0(%x: !nn.tensor<example, [seq, 4], f32>):
  %0 = peft.point "a" %x : !nn.tensor<example, [seq, 4], f32>
  peft.yield %0 : !nn.tensor<example, [seq, 4], f32>
}
peft.instance @m attach 0 "m" {
  %0 = peft.read @m "a" : !nn.tensor<example, [seq, 4], f32>
  // expected-error@+1 {{there is no module `n`}}
  %1 = peft.base @n(%0) : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
}

// -----
// read_c1
peft.module @m kinds [] inputs ["a"] dims {} {
^bb0(%x: !nn.tensor<example, [seq, 4], f32>):
  peft.yield %x : !nn.tensor<example, [seq, 4], f32>
}
peft.instance @m attach 0 "m" {
  // expected-error@+1 {{there is no module `n`}}
  %0 = peft.read @n "a" : !nn.tensor<example, [seq, 4], f32>
}

// -----
// parent
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>) {
  // expected-error@+1 {{expects parent op 'peft.module'}}
  %0 = peft.point "a" %x : !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
// An instance sees only what it reads.
peft.module @m kinds [] inputs ["a"] dims {} {
^bb0(%x: !nn.tensor<example, [seq, 4], f32>):
  peft.yield %x : !nn.tensor<example, [seq, 4], f32>
}
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>) {
  // expected-note@+1 {{required by region isolation constraints}}
  peft.instance @m attach 0 "m" {
    // expected-error@+1 {{using value defined outside the region}}
    %0 = nn.neg %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  }
  return
}

// -----
// pass_c1
peft.module @model kinds [] inputs ["a"] dims {} {
^bb0(%x: !nn.tensor<example, [seq, 4], f32>):
  %0 = peft.point "a" %x : !nn.tensor<example, [seq, 4], f32>
  peft.yield %0 : !nn.tensor<example, [seq, 4], f32>
}
peft.instance @model attach 0 "m" {
  // expected-error@+1 {{`model` has no point `b`}}
  %0 = peft.pass 1 "b" with []() : () -> !nn.tensor<example, [seq, 4], f32>
}

// -----
// pass_c2
peft.module @model kinds [] inputs ["a"] dims {} {
^bb0(%x: !nn.tensor<example, [seq, 4], f32>):
  %0 = peft.point "a" %x : !nn.tensor<example, [seq, 4], f32>
  peft.yield %0 : !nn.tensor<example, [seq, 4], f32>
}
peft.instance @model attach 0 "m" {
  // expected-error@+1 {{names 1 points, given are 0 values}}
  %0 = peft.pass 1 "a" with ["a"]() : () -> !nn.tensor<example, [seq, 4], f32>
}
