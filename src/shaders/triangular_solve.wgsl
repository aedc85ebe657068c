// x[i] = (b[i] - sum over k < i of l[i, k] x[k]) / l[i, i] solves l x = b; TRANSPOSE = 1: l^T x = b, from the last row up
// G systems, l [N, N] lower, b and x [N, M], one thread a column; L_STRIDE, B_STRIDE elements from one system to the next, 0 = shared.
override G: u32;
override N: u32;
override M: u32;
override TRANSPOSE: u32 = 0u;
override L_STRIDE: u32;
override B_STRIDE: u32;

@group(0) @binding(0) var<storage, read> l: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= G * M { return; }
  let system = t / M;
  let column = t % M;
  let from_b = system * B_STRIDE + column;
  let to_x = system * N * M + column;
  let from_l = system * L_STRIDE;
  for (var n = 0u; n < N; n++) {
    // The transposed system is the same one read backwards: row i is row N - 1 - n of l^T.
    let i = select(n, N - 1u - n, TRANSPOSE == 1u);
    let above = solved(from_l, to_x, n);
    x[to_x + i * M] = (b[from_b + i * M] - above) / l[from_l + i * (N + 1u)];
  }
}

// sum over the n unknowns found so far of their coefficient in the next row, in four partial sums
fn solved(from_l: u32, to_x: u32, n: u32) -> f32 {
  var s0 = 0.0;
  var s1 = 0.0;
  var s2 = 0.0;
  var s3 = 0.0;
  var p = from_l + n * N;
  var q = to_x;
  var dp = 1u;
  var dq = M;
  if TRANSPOSE == 1u {
    // Wrapping subtraction: both walk from the last row of l and x towards the first.
    p = from_l + (N - 1u) * N + (N - 1u - n);
    q = to_x + (N - 1u) * M;
    dp = 0u - N;
    dq = 0u - M;
  }
  var k = 0u;
  for (; k + 4u <= n; k += 4u) {
    s0 += l[p] * x[q];
    s1 += l[p + dp] * x[q + dq];
    s2 += l[p + 2u * dp] * x[q + 2u * dq];
    s3 += l[p + 3u * dp] * x[q + 3u * dq];
    p += 4u * dp;
    q += 4u * dq;
  }
  for (; k < n; k++) {
    s0 += l[p] * x[q];
    p += dp;
    q += dq;
  }
  return (s0 + s1) + (s2 + s3);
}
