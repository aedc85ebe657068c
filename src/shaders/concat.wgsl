// y[o, c] = xj[o, c - the columns of those before], xj being the input that column c falls to
// N elements of y; N0, .., N6 columns of x0, .., x6, 0 where there is none.
override N: u32;
override N0: u32;
override N1: u32 = 0u;
override N2: u32 = 0u;
override N3: u32 = 0u;
override N4: u32 = 0u;
override N5: u32 = 0u;
override N6: u32 = 0u;

@group(0) @binding(0) var<storage, read> x0: array<f32>;
@group(0) @binding(1) var<storage, read> x1: array<f32>; // if N1
@group(0) @binding(2) var<storage, read> x2: array<f32>; // if N2
@group(0) @binding(3) var<storage, read> x3: array<f32>; // if N3
@group(0) @binding(4) var<storage, read> x4: array<f32>; // if N4
@group(0) @binding(5) var<storage, read> x5: array<f32>; // if N5
@group(0) @binding(6) var<storage, read> x6: array<f32>; // if N6
@group(0) @binding(7) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= N { return; }
  let columns = N0 + N1 + N2 + N3 + N4 + N5 + N6;
  let o = t / columns;
  var c = t % columns;
  if c < N0 {
    y[t] = x0[o * N0 + c];
    return;
  }
  c -= N0;
  if c < N1 {
    y[t] = x1[o * N1 + c];
    return;
  }
  c -= N1;
  if c < N2 {
    y[t] = x2[o * N2 + c];
    return;
  }
  c -= N2;
  if c < N3 {
    y[t] = x3[o * N3 + c];
    return;
  }
  c -= N3;
  if c < N4 {
    y[t] = x4[o * N4 + c];
    return;
  }
  c -= N4;
  if c < N5 {
    y[t] = x5[o * N5 + c];
    return;
  }
  y[t] = x6[o * N6 + c - N5];
}
