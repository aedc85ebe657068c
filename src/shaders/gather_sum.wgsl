// y[o, m, i] = sum of x[o, k, i] over the k in list m; 0 where it is empty
// x [O, K, I], y [O, M, I] with N elements; lists M + 1 places, of each list's start and the last one's end, then the k.
override N: u32;
override K: u32;
override M: u32;
override I: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> lists: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= N { return; }
  let m = t / I % M;
  let base = t / (I * M) * (K * I) + t % I;
  let start = lists[m];
  let end = lists[m + 1u];
  // The first by itself: a list of one hands -0 on as it is.
  var sum = 0.0;
  if start < end { sum = x[base + lists[start] * I]; }
  for (var j = start + 1u; j < end; j++) { sum += x[base + lists[j] * I]; }
  y[t] = sum;
}
