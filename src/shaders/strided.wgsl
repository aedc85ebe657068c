// y[i0, i1, i2, i3] = x[OFFSET + i0 S0 + i1 S1 + i2 S2 + i3 S3]: permute, broadcast, slice, flip
// y is [D0, D1, D2, D3] with N elements in all; x is flat, S0..S3 are strides in its elements.
override N: u32;
override D1: u32;
override D2: u32;
override D3: u32;
override LAST: u32 = 0xffffffffu; // elements of the last axis, zeros after them
override OFFSET: i32;
override S0: i32;
override S1: i32;
override S2: i32;
override S3: i32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= N { return; }
  if t % D3 >= LAST {
    y[t] = 0.0;
    return;
  }
  let i3 = i32(t % D3);
  let i2 = i32(t / D3 % D2);
  let i1 = i32(t / (D3 * D2) % D1);
  let i0 = i32(t / (D3 * D2 * D1));
  y[t] = x[u32(OFFSET + i0 * S0 + i1 * S1 + i2 * S2 + i3 * S3)];
}
