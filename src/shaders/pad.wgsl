// y[e0, e1, e2, e3] = x[i0, i1, i2, i3] where some e = O + i S for each of the axes, else 0
// x is [D0, D1, D2, D3]; y is [E0, E1, E2, E3], N elements; O0..O3 place of x in y, < 0 crops; S0..S3 steps.
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
override S0: i32 = 1;
override S1: i32 = 1;
override S2: i32 = 1;
override S3: i32 = 1;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= N { return; }
  let i3 = index(i32(t % E3) - O3, S3);
  let i2 = index(i32(t / E3 % E2) - O2, S2);
  let i1 = index(i32(t / (E3 * E2) % E1) - O1, S1);
  let i0 = index(i32(t / (E3 * E2 * E1)) - O0, S0);
  var v = 0.0;
  if i0 < D0 && i1 < D1 && i2 < D2 && i3 < D3 {
    v = x[((i0 * D1 + i1) * D2 + i2) * D3 + i3];
  }
  y[t] = v;
}

// The index of what lies a distance from x's place, a huge number where nothing does: an index left of x wraps
// to one, so that a comparison finds both ends.
fn index(distance: i32, step: i32) -> u32 {
  if step == 1 { return u32(distance); }
  let i = distance / step;
  return select(0xffffffffu, u32(i), i * step == distance);
}
