// RUN: peft-opt %s --split-input-file --verify-diagnostics
// What each verifier and shape rule of `nn` refuses.
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}axis 2 of a value with 2 axes}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.argmax %x axis 2 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq], i64>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}shapes example [seq, 4] and [3]}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.add %x, %v3 : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[3], f32>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}operands hold}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.add %x, %i : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}training has example [seq, 4], other programs have [3]}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.by_mode %x, %v3 : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[3], f32>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}names 1 axes of a value}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.contract "a,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[9, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}sums over axes of length}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.contract "ay,yz->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[9, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}is not in an operand}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.contract "ay,zy->aq" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[9, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}a permutation of 1 axes for}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.transpose %x [0] : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}is not 6 long}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.split %x axis 1 into [2, 3] : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 2, 3], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}cannot merge 3 axes}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.merge %x axis 0 count 3 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}two axes that depend on the length of the text cannot be merged}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.merge %ss axis 0 count 2 : (!nn.tensor<example, [seq, seq], f32>) -> !nn.tensor<example, [seq], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}is not 1 long}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.squeeze %x axis 1 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}entries 0 to 5 of an axis that is}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.slice %x axis 1 from <0, 0> to <5, 0> step 1 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 5], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}a step of 2 along an axis of length}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.slice %x axis 0 from <0, 0> step 2 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}cannot join}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.concat %x, %w axis 1 : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[9, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}cannot look up}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.gather %w, %x : (!nn.tensor<[9, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}cannot add}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.scatter_add %x, %v3 rows <9, 0> over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[3], f32>) -> !nn.tensor<[9, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+1 {{{{.*}}a parameter is not one example's}}
  %0 = nn.param "W" : !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+1 {{{{.*}}a constant is a run-level scalar}}
  %0 = nn.constant(1.0 : f64) : !nn.tensor<[3], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+1 {{{{.*}}the value does not have the element type of the result}}
  %0 = nn.constant(1.0 : f64) : !nn.tensor<[], i64>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+1 {{{{.*}}holds 2 numbers for [3]}}
  %0 = nn.literal [1.0, 0.0] : !nn.tensor<[3], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+1 {{{{.*}}distribution `cauchy` is neither uniform nor normal}}
  %0 = nn.random "cauchy" site 1 per "pass" -> !nn.tensor<[3], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+1 {{{{.*}}no such rate: `hour`}}
  %0 = nn.random "normal" site 1 per "hour" -> !nn.tensor<[3], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+1 {{{{.*}}result is}}
  %0 = nn.random "normal" like %x : !nn.tensor<example, [seq, 4], f32> site 1 per "token" -> !nn.tensor<[3], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+1 {{{{.*}}kind `mean` is none of sum, max, min}}
  %0 = nn.reduce "mean" %x axes [1] keep false over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+1 {{{{.*}}cannot make [9, 4] of}}
  %0 = nn.broadcast %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<[9, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+1 {{{{.*}}changes the number of axes}}
  %0 = nn.pad %v3 axis 0 at <0, 0> step 1 : (!nn.tensor<[3], f32>) -> !nn.tensor<[4, 1], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}inferred type(s)}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.exp %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<[3], f32>
  return
}
