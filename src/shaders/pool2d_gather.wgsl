// y[p, o] = x[p, i[p, o]]
// P planes of PLANE = H W pixels in x and OUT = OH OW windows in i and y, N = P OUT.
override N: u32;
override PLANE: u32;
override OUT: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> i: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= N { return; }
  y[t] = x[t / OUT * PLANE + u32(i[t])];
}
