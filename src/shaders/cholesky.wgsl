// l[i, j] = (a[i, j] - sum over k < j of l[i, k] l[j, k]) / l[j, j], l[j, j] = sqrt(a[j, j] - ...)
// G matrices [N, N], N <= 512; a's lower half is read; a workgroup each, row i: lane i % 64.
//
// A pivot that is not positive makes its column and those after it NaN, from the diagonal down.
// Sums take 16 terms a turn: lavapipe silently ends a thread after 65,535 loop turns in all, and
// with fewer terms a turn N = 512 would reach them.
override G: u32;
override N: u32;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> l: array<f32>;

var<workgroup> row: array<f32, N>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let matrix = group.x + group.y * groups.x;
  if matrix >= G { return; }
  let base = matrix * N * N;
  var nan_bits = 0x7fc00000u;
  for (var j = 0u; j < N; j++) {
    for (var k = lane; k < j; k += 64u) { row[k] = l[base + j * N + k]; }
    workgroupBarrier();

    // Every thread with a row works the pivot out for itself: cheaper than a barrier to share it.
    if lane < N {
      let pivot = a[base + j * N + j] - square_row(j);
      let diagonal = select(bitcast<f32>(nan_bits), sqrt(pivot), pivot > 0.0);
      for (var i = lane; i < N; i += 64u) {
        let mine = base + i * N;
        var v = 0.0;
        if i == j {
          v = diagonal;
        } else if i > j {
          v = (a[mine + j] - dot_row(mine, j)) / diagonal;
        }
        l[mine + j] = v;
      }
    }
    storageBarrier();
  }
}

// sum over k < j of row[k]^2, in four partial sums
fn square_row(j: u32) -> f32 {
  var s = vec4f(0.0);
  var k = 0u;
  for (; k + 16u <= j; k += 16u) {
    let v0 = row4(k);
    let v1 = row4(k + 4u);
    let v2 = row4(k + 8u);
    let v3 = row4(k + 12u);
    s += (v0 * v0 + v1 * v1) + (v2 * v2 + v3 * v3);
  }
  for (; k + 4u <= j; k += 4u) {
    let v = row4(k);
    s += v * v;
  }
  for (; k < j; k++) { s.x += row[k] * row[k]; }
  return (s.x + s.y) + (s.z + s.w);
}

// sum over k < j of l[mine + k] row[k], in four partial sums
fn dot_row(mine: u32, j: u32) -> f32 {
  var s = vec4f(0.0);
  var k = 0u;
  for (; k + 16u <= j; k += 16u) {
    let i = mine + k;
    let low = l4(i) * row4(k) + l4(i + 4u) * row4(k + 4u);
    s += low + (l4(i + 8u) * row4(k + 8u) + l4(i + 12u) * row4(k + 12u));
  }
  for (; k + 4u <= j; k += 4u) { s += l4(mine + k) * row4(k); }
  for (; k < j; k++) { s.x += l[mine + k] * row[k]; }
  return (s.x + s.y) + (s.z + s.w);
}

fn l4(i: u32) -> vec4f {
  return vec4f(l[i], l[i + 1u], l[i + 2u], l[i + 3u]);
}

fn row4(k: u32) -> vec4f {
  return vec4f(row[k], row[k + 1u], row[k + 2u], row[k + 3u]);
}
