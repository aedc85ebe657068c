// y[n, w] = x[index[n], w]
// M rows of x, N rows of y, W row width; an index past the end takes the last row.
override N: u32;
override W: u32;
override M: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> index: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= N * W { return; }
  let row = min(u32(index[t / W]), M - 1u);
  y[t] = x[row * W + t % W];
}
