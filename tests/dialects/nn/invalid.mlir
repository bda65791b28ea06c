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
  // expected-error-re@+1 {{{{.*}}distribution `cauchy` is none of uniform, uniform16, normal}}
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

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+2 {{a condition is true or false, this holds 'f32'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.select %x, %x, %x : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>, %c: !nn.tensor<[4], i1>) {
  // expected-error@+2 {{a condition is true or false, this holds 'f32'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.and %c, %x : (!nn.tensor<[4], i1>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+2 {{a condition is true or false, this holds 'i64'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.not %i : (!nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [seq], i64>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>, %c: !nn.tensor<[4], i1>) {
  // expected-error@+2 {{operands hold 'f32' and 'i64'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.select %c, %x, %i : (!nn.tensor<[4], i1>, !nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+2 {{there are no tensors of 'i7'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.cast %x to i7 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], i7>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+2 {{axis -1 is named twice}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.reduce "sum" %x axes [1, -1] keep false over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+2 {{axis 2 of a value with 2 axes}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.reduce "sum" %x axes [2] keep false over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+2 {{`aa,zy->az` names an axis twice}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.contract "aa,zy->az" %ss, %w over_examples false : (!nn.tensor<example, [seq, seq], f32>, !nn.tensor<[9, 4], f32>) -> !nn.tensor<example, [seq, 9], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+2 {{`ay,zy->aza` names an axis twice}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.contract "ay,zy->aza" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[9, 4], f32>) -> !nn.tensor<example, [seq, 9, seq], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+2 {{axis 1 is not one of example [seq, 4], or was placed before}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.transpose %x [1, 1] : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [4, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+2 {{axis -1 is not one of example [seq, 4], or was placed before}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.transpose %x [-1, 0] : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [4, seq], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+2 {{is not 0 long}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.split %x axis 1 into [-2, -2] : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+2 {{cannot merge 0 axes}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.merge %x axis 0 count 0 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [1, seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+2 {{there is nothing to join}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.concat  axis 0 : () -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+2 {{axis 3 of a value with 3 axes}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.expand_dims %x axis 3 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4, 1], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+2 {{cannot add [9, 4] at indices example [seq]}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.scatter_add %i, %w rows <9, 0> over_examples false : (!nn.tensor<example, [seq], i64>, !nn.tensor<[9, 4], f32>) -> !nn.tensor<[9, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+1 {{there is no parameter `V`}}
  %0 = nn.param "V" : !nn.tensor<[3], f32>
  return
}

// -----
nn.parameter @P "base" trainable false : !nn.tensor<[9, 4], f32>
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+1 {{`P` is [9, 4]}}
  %0 = nn.param "P" : !nn.tensor<[3], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+1 {{operands of different element types}}
  %0 = nn.contract "ay,s->as" %x, %i over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+1 {{cannot make [3] of [3]}}
  %0 = nn.broadcast %v3 : (!nn.tensor<[3], f32>) -> !nn.tensor<[3], i64>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+1 {{axis 2 of a value with 2 axes}}
  %0 = nn.pad %x axis 2 at <0, 0> step 1 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+1 {{cannot make [4, 4] of [9, 4]}}
  %0 = nn.pad %w axis 1 at <0, 0> step 1 : (!nn.tensor<[9, 4], f32>) -> !nn.tensor<[4, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+2 {{is not 3 times a whole number long}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.split %x axis 1 into [-1, 3] : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 2, 2], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error@+2 {{is not 1 times a whole number long}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.split %x axis 1 into [-1, -1] : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 2, 2], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}axis 2 of a value with 2 axes}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.ranks %x axis 2 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}axis 2 of a value with 2 axes}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.order %x axis 2 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], i64>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}[3] is the same whatever the rows are}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.all_rows %v3 : (!nn.tensor<[3], f32>) -> !nn.tensor<example, [seq, 3], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}a gradient is that of one real number, this is example [seq, 4]}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.gradient %x by %x : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %v3: !nn.tensor<[3], f32>, %w: !nn.tensor<[9, 4], f32>, %i: !nn.tensor<example, [seq], i64>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  %one = nn.reduce "sum" %x axes [0, 1] keep false over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [], f32>
  // expected-error-re@+2 {{{{.*}}a gradient is by real numbers of each example, this is [3]}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.gradient %one by %v3 : (!nn.tensor<example, [], f32>, !nn.tensor<[3], f32>) -> !nn.tensor<[3], f32>
  return
}

// -----
// A length is of one sequence.
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %y: !nn.tensor<example, [seq1, 4], f32>) {
  // expected-error-re@+2 {{{{.*}}cannot join example [seq, 4] and example [seq1, 4] along axis 0}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.concat %x, %y axis 0 : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq1, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %y: !nn.tensor<example, [seq1, 4], f32>) {
  // expected-error-re@+2 {{{{.*}}shapes example [seq, 4] and example [seq1, 4] do not match}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.add %x, %y : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq1, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  return
}

// -----
// expected-error@+1 {{a length is a number or of `seq`}}
func.func @f(%x: !nn.tensor<example, [sequence, 4], f32>) {
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %m: !nn.tensor<[3, 3], i64>, %w: !nn.tensor<[9, 4], f32>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}[9, 4] holds no square matrices of numbers, in one size}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.inverse %w : (!nn.tensor<[9, 4], f32>) -> !nn.tensor<[9, 4], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %m: !nn.tensor<[3, 3], i64>, %w: !nn.tensor<[9, 4], f32>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}[seq, seq] holds no square matrices of numbers, in one size}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.inverse %ss : (!nn.tensor<example, [seq, seq], f32>) -> !nn.tensor<example, [seq, seq], f32>
  return
}

// -----
func.func @f(%x: !nn.tensor<example, [seq, 4], f32>, %m: !nn.tensor<[3, 3], i64>, %w: !nn.tensor<[9, 4], f32>, %ss: !nn.tensor<example, [seq, seq], f32>) {
  // expected-error-re@+2 {{{{.*}}[3, 3] holds no square matrices of numbers, in one size}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.inverse %m : (!nn.tensor<[3, 3], i64>) -> !nn.tensor<[3, 3], i64>
  return
}
