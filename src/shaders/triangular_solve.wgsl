// x[i] = (b[i] - sum over k < i of l[i, k] x[k]) / l[i, i]: l x = b; TRANSPOSE = 1: l^T x = b
// G systems, l [N, N] lower, b and x [N, M]; L_STRIDE, B_STRIDE elements to the next, 0 = shared.
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

// sum over the n unknowns found so far of coefficient times value, in four partial sums
fn solved(from_l: u32, to_x: u32, n: u32) -> f32 {
  // Steps p in l and q in x; transposed, both walk back from the last row, by wrapping addition.
  var p = from_l + n * N;
  var q = to_x;
  var dp = 1u;
  var dq = M;
  if TRANSPOSE == 1u {
    p = from_l + (N - 1u) * N + (N - 1u - n);
    q = to_x + (N - 1u) * M;
    dp = 0u - N;
    dq = 0u - M;
  }
  var s = vec4f(0.0);
  var k = 0u;
  for (; k + 16u <= n; k += 16u) {
    let low = l4(p, dp) * x4(q, dq) + l4(p + 4u * dp, dp) * x4(q + 4u * dq, dq);
    let high = l4(p + 8u * dp, dp) * x4(q + 8u * dq, dq);
    s += low + (high + l4(p + 12u * dp, dp) * x4(q + 12u * dq, dq));
    p += 16u * dp;
    q += 16u * dq;
  }
  for (; k + 4u <= n; k += 4u) {
    s += l4(p, dp) * x4(q, dq);
    p += 4u * dp;
    q += 4u * dq;
  }
  for (; k < n; k++) {
    s.x += l[p] * x[q];
    p += dp;
    q += dq;
  }
  return (s.x + s.y) + (s.z + s.w);
}

fn l4(i: u32, d: u32) -> vec4f {
  return vec4f(l[i], l[i + d], l[i + 2u * d], l[i + 3u * d]);
}

fn x4(i: u32, d: u32) -> vec4f {
  return vec4f(x[i], x[i + d], x[i + 2u * d], x[i + 3u * d]);
}
