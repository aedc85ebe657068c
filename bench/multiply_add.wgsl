// y[i] = chains of LENGTH STEPS multiplications and additions in SUMS vectors: nothing but arithmetic
// Steps are written out: a turn of a loop costs a software driver a move of every vector that it changes.
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

override SUMS: u32;
override STEPS: u32;
override LENGTH: u32;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let s = x[id.x] * 1e-7 + vec4f(0.9999);
  let m = x[id.x] * 1e-9;
  var a{p} = s + f32({p}u); // each p < SUMS
  for (var i = 0u; i < LENGTH; i++) {
    a{p} = a{p} * s + m; // each step < STEPS, p < SUMS
  }
  var sum = vec4f(0.0);
  sum += a{p}; // each p < SUMS
  y[id.x] = sum;
}
