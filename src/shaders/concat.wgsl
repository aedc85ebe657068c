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
  let c = t % columns;
  let c1 = c - N0;
  let c2 = c1 - N1;
  let c3 = c2 - N2;
  let c4 = c3 - N3;
  let c5 = c4 - N4;
  let c6 = c5 - N5;
  var v: f32;
  if c < N0 {
    v = x0[o * N0 + c];
  } else if c1 < N1 {
    v = x1[o * N1 + c1];
  } else if c2 < N2 {
    v = x2[o * N2 + c2];
  } else if c3 < N3 {
    v = x3[o * N3 + c3];
  } else if c4 < N4 {
    v = x4[o * N4 + c4];
  } else if c5 < N5 {
    v = x5[o * N5 + c5];
  } else {
    v = x6[o * N6 + c6];
  }
  y[t] = v;
}
