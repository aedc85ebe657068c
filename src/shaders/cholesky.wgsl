// l[i, j] = (a[i, j] - sum over k < j of l[i, k] l[j, k]) / l[j, j], l[j, j] = sqrt(the same with i = j), so that a = l l^T
// G matrices [N, N], of a only the lower half is read; one workgroup a matrix, thread i % 64 owns row i.
//
// A pivot that is not positive makes its column and those after it NaN (from the diagonal down).
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

    // Every thread works the pivot out for itself: cheaper than a barrier to share it.
    var pivot = a[base + j * N + j];
    for (var k = 0u; k < j; k++) { pivot -= row[k] * row[k]; }
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
    storageBarrier();
  }
}

// sum over k < j of l[mine + k] row[k], in four partial sums
fn dot_row(mine: u32, j: u32) -> f32 {
  var s0 = 0.0;
  var s1 = 0.0;
  var s2 = 0.0;
  var s3 = 0.0;
  var k = 0u;
  for (; k + 4u <= j; k += 4u) {
    s0 += l[mine + k] * row[k];
    s1 += l[mine + k + 1u] * row[k + 1u];
    s2 += l[mine + k + 2u] * row[k + 2u];
    s3 += l[mine + k + 3u] * row[k + 3u];
  }
  for (; k < j; k++) { s0 += l[mine + k] * row[k]; }
  return (s0 + s1) + (s2 + s3);
}
