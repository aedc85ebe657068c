// y[e0, e1, e2, e3] = x[e0 - O0, e1 - O1, e2 - O2, e3 - O3] where that lies inside x, else 0
// x is [D0, D1, D2, D3]; y is [E0, E1, E2, E3], N elements; O0..O3 place of x in y, < 0 crops.
override N: u32;
override E1: u32;
override E2: u32;
override E3: u32;
override D0: u32;
override D1: u32;
override D2: u32;
override D3: u32;
override O0: i32;
override O1: i32;
override O2: i32;
override O3: i32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= N { return; }
  // An index left of x wraps to a huge unsigned number, so one comparison finds both ends.
  let i3 = u32(i32(t % E3) - O3);
  let i2 = u32(i32(t / E3 % E2) - O2);
  let i1 = u32(i32(t / (E3 * E2) % E1) - O1);
  let i0 = u32(i32(t / (E3 * E2 * E1)) - O0);
  var v = 0.0;
  if i0 < D0 && i1 < D1 && i2 < D2 && i3 < D3 {
    v = x[((i0 * D1 + i1) * D2 + i2) * D3 + i3];
  }
  y[t] = v;
}
