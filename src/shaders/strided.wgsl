// y[j0, .., j3, i0, .., i3] = x[OFFSET + j0 T0 + .. + j3 T3 + i0 S0 + .. + i3 S3]: permute, broadcast, slice, flip
// y is [E0, E1, E2, E3, D0, D1, D2, D3], N elements; x is flat, T and S are strides in its elements.
override N: u32;
override E1: u32 = 1u;
override E2: u32 = 1u;
override E3: u32 = 1u;
override D0: u32 = 0u; // 0 where y has the last four axes only
override D1: u32;
override D2: u32;
override D3: u32;
override LAST: u32 = 0xffffffffu; // elements of the last axis, zeros after them
override OFFSET: i32;
override T0: i32 = 0;
override T1: i32 = 0;
override T2: i32 = 0;
override T3: i32 = 0;
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
  var rest = t / (D3 * D2 * D1);
  var start = OFFSET;
  if D0 > 0u {
    let outer = rest / D0;
    rest %= D0;
    start += i32(outer / (E3 * E2 * E1)) * T0 + i32(outer / (E3 * E2) % E1) * T1;
    start += i32(outer / E3 % E2) * T2 + i32(outer % E3) * T3;
  }
  y[t] = x[u32(start + i32(rest) * S0 + i1 * S1 + i2 * S2 + i3 * S3)];
}
