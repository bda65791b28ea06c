// RUN: peft-opt --nn-expose-structure --nn-prune-to-trainable %s | FileCheck %s
// RUN: peft-opt --nn-expose-structure --nn-prune-to-trainable %s | FileCheck %s --check-prefix=THIN
// A product with a weight expression that holds a low-rank product becomes products on activations; row norms come from Gram matrices.
module {
  nn.parameter @W "base" trainable false : !nn.tensor<[64, 48], f32>
  nn.parameter @A "method" trainable true : !nn.tensor<[4, 48], f32>
  nn.parameter @B "method" trainable true : !nn.tensor<[64, 4], f32>
  nn.parameter @m "method" trainable true : !nn.tensor<[64], f32>
  nn.parameter @c "method" trainable true : !nn.tensor<[48], f32>
  nn.parameter @Q "method" trainable true : !nn.tensor<[48, 48], f32>
  nn.parameter @P "method" trainable true : !nn.tensor<[4, 64], f32>

  // THIN-LABEL: func.func @sum_of_weights
  // THIN-NOT: -> !nn.tensor<[64, 48], f32>
  // CHECK-LABEL: func.func @sum_of_weights
  // CHECK-DAG: nn.contract {{.*}}(!nn.tensor<example, [seq, 48], f32>, !nn.tensor<[64, 48], f32>) -> !nn.tensor<example, [seq, 64], f32>
  // CHECK-DAG: nn.contract {{.*}}(!nn.tensor<example, [seq, 48], f32>, !nn.tensor<[4, 48], f32>) -> !nn.tensor<example, [seq, 4], f32>
  // CHECK-DAG: nn.contract {{.*}}(!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[64, 4], f32>) -> !nn.tensor<example, [seq, 64], f32>
  // CHECK: return
  func.func @sum_of_weights(%x: !nn.tensor<example, [seq, 48], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 64], f32> {nn.name = "y"}) attributes {nn.mode = "train"} {
    %w = nn.param "W" : !nn.tensor<[64, 48], f32>
    %A = nn.param "A" : !nn.tensor<[4, 48], f32>
    %B = nn.param "B" : !nn.tensor<[64, 4], f32>
    %BA = nn.contract "or,ri->oi" %B, %A over_examples false : (!nn.tensor<[64, 4], f32>, !nn.tensor<[4, 48], f32>) -> !nn.tensor<[64, 48], f32>
    %V = nn.add %w, %BA : (!nn.tensor<[64, 48], f32>, !nn.tensor<[64, 48], f32>) -> !nn.tensor<[64, 48], f32>
    %y = nn.contract "ay,zy->az" %x, %V over_examples false : (!nn.tensor<example, [seq, 48], f32>, !nn.tensor<[64, 48], f32>) -> !nn.tensor<example, [seq, 64], f32>
    return %y : !nn.tensor<example, [seq, 64], f32>
  }

  // (m / |V|) scales rows of V, so it scales y; |V|² = |W|² + 2 (W Aᵀ) ∘ B + B (A Aᵀ) ∘ B.
  // THIN-LABEL: func.func @magnitude
  // THIN-NOT: -> !nn.tensor<[64, 48], f32>
  // CHECK-LABEL: func.func @magnitude
  // CHECK: %[[W:.*]] = nn.param "W"
  // CHECK: %[[A:.*]] = nn.param "A"
  // CHECK: %[[B:.*]] = nn.param "B"
  // CHECK: %[[M:.*]] = nn.param "m"
  // CHECK: %[[WW:.*]] = nn.contract "oi,oi->o" %[[W]], %[[W]]
  // CHECK: %[[WA:.*]] = nn.contract "oi,ri->or" %[[W]], %[[A]]
  // CHECK: %[[WAB:.*]] = nn.contract "or,or->o" %[[WA]], %[[B]]
  // CHECK: %[[TWO:.*]] = nn.constant(2.0
  // CHECK: %[[CROSS:.*]] = nn.mul %[[WAB]], %[[TWO]]
  // CHECK: %[[SUM:.*]] = nn.add %[[WW]], %[[CROSS]]
  // CHECK: %[[GRAM:.*]] = nn.contract "pi,qi->pq" %[[A]], %[[A]] {{.*}} -> !nn.tensor<[4, 4], f32>
  // CHECK: %[[BG:.*]] = nn.contract "op,pq->oq" %[[B]], %[[GRAM]]
  // CHECK: %[[BGB:.*]] = nn.contract "oq,oq->o" %[[BG]], %[[B]]
  // CHECK: %[[SQUARE:.*]] = nn.add %[[SUM]], %[[BGB]]
  // CHECK: %[[NORM:.*]] = nn.sqrt %[[SQUARE]]
  // CHECK: %[[SCALE:.*]] = nn.div %[[M]], %[[NORM]]
  // CHECK: %[[COLUMN:.*]] = nn.expand_dims %[[SCALE]]
  // CHECK: %[[ROW:.*]] = nn.squeeze %[[COLUMN]]
  // CHECK-DAG: %[[XA:.*]] = nn.contract "aY,ZY->aZ" %arg0, %[[A]]
  // CHECK-DAG: %[[LOW:.*]] = nn.contract "aY,ZY->aZ" %[[XA]], %[[B]]
  // CHECK-DAG: %[[DENSE:.*]] = nn.contract "aY,ZY->aZ" %arg0, %[[W]]
  // CHECK: %[[XV:.*]] = nn.add %[[DENSE]], %[[LOW]]
  // CHECK: %[[Y:.*]] = nn.mul %[[XV]], %[[ROW]]
  // CHECK: return %[[Y]]
  func.func @magnitude(%x: !nn.tensor<example, [seq, 48], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 64], f32> {nn.name = "y"}) attributes {nn.mode = "train"} {
    %w = nn.param "W" : !nn.tensor<[64, 48], f32>
    %A = nn.param "A" : !nn.tensor<[4, 48], f32>
    %B = nn.param "B" : !nn.tensor<[64, 4], f32>
    %m = nn.param "m" : !nn.tensor<[64], f32>
    %BA = nn.contract "or,ri->oi" %B, %A over_examples false : (!nn.tensor<[64, 4], f32>, !nn.tensor<[4, 48], f32>) -> !nn.tensor<[64, 48], f32>
    %V = nn.add %w, %BA : (!nn.tensor<[64, 48], f32>, !nn.tensor<[64, 48], f32>) -> !nn.tensor<[64, 48], f32>
    %VV = nn.mul %V, %V : (!nn.tensor<[64, 48], f32>, !nn.tensor<[64, 48], f32>) -> !nn.tensor<[64, 48], f32>
    %norm2 = nn.reduce "sum" %VV axes [1] keep false over_examples false : (!nn.tensor<[64, 48], f32>) -> !nn.tensor<[64], f32>
    %norm = nn.sqrt %norm2 : (!nn.tensor<[64], f32>) -> !nn.tensor<[64], f32>
    %scale = nn.div %m, %norm : (!nn.tensor<[64], f32>, !nn.tensor<[64], f32>) -> !nn.tensor<[64], f32>
    %column = nn.expand_dims %scale axis 1 : (!nn.tensor<[64], f32>) -> !nn.tensor<[64, 1], f32>
    %E = nn.mul %column, %V : (!nn.tensor<[64, 1], f32>, !nn.tensor<[64, 48], f32>) -> !nn.tensor<[64, 48], f32>
    %y = nn.contract "ay,zy->az" %x, %E over_examples false : (!nn.tensor<example, [seq, 48], f32>, !nn.tensor<[64, 48], f32>) -> !nn.tensor<example, [seq, 64], f32>
    return %y : !nn.tensor<example, [seq, 64], f32>
  }

  // Without a low-rank product there is nothing to gain: the expression stays.
  // THIN-LABEL: func.func @stays
  // CHECK-LABEL: func.func @stays
  // CHECK: %[[E:.*]] = nn.mul {{.*}} -> !nn.tensor<[64, 48], f32>
  // CHECK: nn.contract {{.*}}, %[[E]]
  func.func @stays(%x: !nn.tensor<example, [seq, 48], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 64], f32> {nn.name = "y"}) attributes {nn.mode = "train"} {
    %w = nn.param "W" : !nn.tensor<[64, 48], f32>
    %E = nn.mul %w, %w : (!nn.tensor<[64, 48], f32>, !nn.tensor<[64, 48], f32>) -> !nn.tensor<[64, 48], f32>
    %y = nn.contract "ay,zy->az" %x, %E over_examples false : (!nn.tensor<example, [seq, 48], f32>, !nn.tensor<[64, 48], f32>) -> !nn.tensor<example, [seq, 64], f32>
    return %y : !nn.tensor<example, [seq, 64], f32>
  }

  // (W - 2 B A) with scaled columns: the columns' factor goes to x, which both products read; sign and scale stay with the thin one.
  // CHECK-LABEL: func.func @column
  // CHECK-DAG: %[[W:.*]] = nn.param "W"
  // CHECK-DAG: %[[A:.*]] = nn.param "A"
  // CHECK-DAG: %[[B:.*]] = nn.param "B"
  // CHECK-DAG: %[[C:.*]] = nn.param "c"
  // CHECK-DAG: %[[S:.*]] = nn.constant(2.0
  // CHECK-DAG: %[[XC:.*]] = nn.mul %arg0, %[[C]]
  // CHECK-DAG: %[[XA:.*]] = nn.contract "{{.*}}" %[[XC]], %[[A]]
  // CHECK-DAG: %[[XAB:.*]] = nn.contract "{{.*}}" %[[XA]], %[[B]]
  // CHECK-DAG: %[[LOW:.*]] = nn.mul %[[XAB]], %[[S]]
  // CHECK-DAG: %[[DENSE:.*]] = nn.contract "{{.*}}" %[[XC]], %[[W]]
  // CHECK: %[[Y:.*]] = nn.sub %[[DENSE]], %[[LOW]]
  // CHECK: return %[[Y]]
  func.func @column(%x: !nn.tensor<example, [seq, 48], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 64], f32> {nn.name = "y"}) attributes {nn.mode = "train"} {
    %w = nn.param "W" : !nn.tensor<[64, 48], f32>
    %A = nn.param "A" : !nn.tensor<[4, 48], f32>
    %B = nn.param "B" : !nn.tensor<[64, 4], f32>
    %c = nn.param "c" : !nn.tensor<[48], f32>
    %s = nn.constant(2.0 : f64) : !nn.tensor<[], f32>
    %BA = nn.contract "or,ri->oi" %B, %A over_examples false : (!nn.tensor<[64, 4], f32>, !nn.tensor<[4, 48], f32>) -> !nn.tensor<[64, 48], f32>
    %sBA = nn.mul %s, %BA : (!nn.tensor<[], f32>, !nn.tensor<[64, 48], f32>) -> !nn.tensor<[64, 48], f32>
    %V = nn.sub %w, %sBA : (!nn.tensor<[64, 48], f32>, !nn.tensor<[64, 48], f32>) -> !nn.tensor<[64, 48], f32>
    %E = nn.mul %V, %c : (!nn.tensor<[64, 48], f32>, !nn.tensor<[48], f32>) -> !nn.tensor<[64, 48], f32>
    %y = nn.contract "ay,zy->az" %x, %E over_examples false : (!nn.tensor<example, [seq, 48], f32>, !nn.tensor<[64, 48], f32>) -> !nn.tensor<example, [seq, 64], f32>
    return %y : !nn.tensor<example, [seq, 64], f32>
  }

  // A product with a square matrix is not thin: it is formed once, not per token.
  // CHECK-LABEL: func.func @full
  // CHECK: %[[E:.*]] = nn.contract {{.*}} -> !nn.tensor<[64, 48], f32>
  // CHECK: nn.contract {{.*}} %arg0, %[[E]]
  func.func @full(%x: !nn.tensor<example, [seq, 48], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 64], f32> {nn.name = "y"}) attributes {nn.mode = "train"} {
    %w = nn.param "W" : !nn.tensor<[64, 48], f32>
    %Q = nn.param "Q" : !nn.tensor<[48, 48], f32>
    %E = nn.contract "or,ri->oi" %w, %Q over_examples false : (!nn.tensor<[64, 48], f32>, !nn.tensor<[48, 48], f32>) -> !nn.tensor<[64, 48], f32>
    %y = nn.contract "ay,zy->az" %x, %E over_examples false : (!nn.tensor<example, [seq, 48], f32>, !nn.tensor<[64, 48], f32>) -> !nn.tensor<example, [seq, 64], f32>
    return %y : !nn.tensor<example, [seq, 64], f32>
  }

  // Rows of a table that is made of a stored one are made of its rows: of all columns of P, by its axis; whole where a row is that of all.
  // THIN-LABEL: func.func @rows
  // THIN-NOT: -> !nn.tensor<[64, 48], f32>
  // CHECK-LABEL: func.func @rows
  // CHECK-SAME: %[[IDS:[a-z0-9]*]]: !nn.tensor<example, [seq], i64>
  // CHECK-DAG: %[[W:.*]] = nn.param "W"
  // CHECK-DAG: %[[A:.*]] = nn.param "A"
  // CHECK-DAG: %[[B:.*]] = nn.param "B"
  // CHECK-DAG: %[[C:.*]] = nn.param "c"
  // CHECK-DAG: %[[BROWS:.*]] = nn.gather %[[B]], %[[IDS]]
  // CHECK-DAG: %[[BA:.*]] = nn.contract "or,ri->oi" %[[BROWS]], %[[A]]
  // CHECK-DAG: %[[WROWS:.*]] = nn.gather %[[W]], %[[IDS]]
  // CHECK: %[[SUM:.*]] = nn.add %[[WROWS]], %[[BA]]
  // CHECK: %[[SCALED:.*]] = nn.mul %[[SUM]], %[[C]]
  // CHECK: nn.cast %[[IDS]] to f32
  // CHECK: nn.mul %[[SCALED]], %{{.*}} : (!nn.tensor<example, [seq, 48], f32>, !nn.tensor<example, [seq, 1], f32>)
  func.func @rows(%ids: !nn.tensor<example, [seq], i64> {nn.name = "ids"}) -> (!nn.tensor<example, [seq, 48], f32> {nn.name = "y"}) attributes {nn.mode = "train"} {
    %w = nn.param "W" : !nn.tensor<[64, 48], f32>
    %A = nn.param "A" : !nn.tensor<[4, 48], f32>
    %B = nn.param "B" : !nn.tensor<[64, 4], f32>
    %c = nn.param "c" : !nn.tensor<[48], f32>
    %BA = nn.contract "or,ri->oi" %B, %A over_examples false : (!nn.tensor<[64, 4], f32>, !nn.tensor<[4, 48], f32>) -> !nn.tensor<[64, 48], f32>
    %V = nn.add %w, %BA : (!nn.tensor<[64, 48], f32>, !nn.tensor<[64, 48], f32>) -> !nn.tensor<[64, 48], f32>
    %S = nn.mul %V, %c : (!nn.tensor<[64, 48], f32>, !nn.tensor<[48], f32>) -> !nn.tensor<[64, 48], f32>
    %i = nn.iota %w axis 0 : (!nn.tensor<[64, 48], f32>) -> !nn.tensor<[64], i64>
    %f = nn.cast %i to f32 : (!nn.tensor<[64], i64>) -> !nn.tensor<[64], f32>
    %p = nn.expand_dims %f axis 1 : (!nn.tensor<[64], f32>) -> !nn.tensor<[64, 1], f32>
    %E = nn.mul %S, %p : (!nn.tensor<[64, 48], f32>, !nn.tensor<[64, 1], f32>) -> !nn.tensor<[64, 48], f32>
    %y = nn.gather %E, %ids : (!nn.tensor<[64, 48], f32>, !nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [seq, 48], f32>
    return %y : !nn.tensor<example, [seq, 48], f32>
  }

  // Columns of P are rows of Pᵀ.
  // CHECK-LABEL: func.func @turned
  // CHECK: %[[T:.*]] = nn.transpose %{{.*}} [1, 0]
  // CHECK: %[[FOUND:.*]] = nn.gather %[[T]], %{{.*}} -> !nn.tensor<example, [seq, 4], f32>
  // CHECK: nn.transpose %[[FOUND]] [1, 0] : {{.*}} -> !nn.tensor<example, [4, seq], f32>
  // CHECK: nn.contract "ro,ri->oi"
  func.func @turned(%ids: !nn.tensor<example, [seq], i64> {nn.name = "ids"}) -> (!nn.tensor<example, [seq, 48], f32> {nn.name = "y"}) attributes {nn.mode = "train"} {
    %w = nn.param "W" : !nn.tensor<[64, 48], f32>
    %A = nn.param "A" : !nn.tensor<[4, 48], f32>
    %P = nn.param "P" : !nn.tensor<[4, 64], f32>
    %PA = nn.contract "ro,ri->oi" %P, %A over_examples false : (!nn.tensor<[4, 64], f32>, !nn.tensor<[4, 48], f32>) -> !nn.tensor<[64, 48], f32>
    %V = nn.add %w, %PA : (!nn.tensor<[64, 48], f32>, !nn.tensor<[64, 48], f32>) -> !nn.tensor<[64, 48], f32>
    %y = nn.gather %V, %ids : (!nn.tensor<[64, 48], f32>, !nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [seq, 48], f32>
    return %y : !nn.tensor<example, [seq, 48], f32>
  }

  // A table of a method's own has fewer rows than a batch has tokens: it is formed. So is one of which a part is cut off.
  // CHECK-LABEL: func.func @own
  // CHECK: %[[E:.*]] = nn.exp %{{.*}} -> !nn.tensor<[64, 4], f32>
  // CHECK: nn.gather %[[E]]
  // CHECK: %[[CUT:.*]] = nn.slice
  // CHECK: nn.gather %[[CUT]]
  func.func @own(%ids: !nn.tensor<example, [seq], i64> {nn.name = "ids"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "y"}, !nn.tensor<example, [seq, 48], f32> {nn.name = "z"}) attributes {nn.mode = "train"} {
    %B = nn.param "B" : !nn.tensor<[64, 4], f32>
    %w = nn.param "W" : !nn.tensor<[64, 48], f32>
    %e = nn.exp %B : (!nn.tensor<[64, 4], f32>) -> !nn.tensor<[64, 4], f32>
    %y = nn.gather %e, %ids : (!nn.tensor<[64, 4], f32>, !nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [seq, 4], f32>
    %s = nn.slice %w axis 0 from <8, 0> step 1 : (!nn.tensor<[64, 48], f32>) -> !nn.tensor<[56, 48], f32>
    %z = nn.gather %s, %ids : (!nn.tensor<[56, 48], f32>, !nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [seq, 48], f32>
    return %y, %z : !nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 48], f32>
  }
}
