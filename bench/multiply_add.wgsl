// y[i] = a chain of 512 multiplications and additions in each of 32 vectors: nothing but arithmetic
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let s = x[id.x] * 1e-7 + vec4f(0.9999);
  let m = x[id.x] * 1e-9;
  var a0 = s; var a1 = s; var a2 = s; var a3 = s; var a4 = s; var a5 = s; var a6 = s; var a7 = s;
  var b0 = m; var b1 = m; var b2 = m; var b3 = m; var b4 = m; var b5 = m; var b6 = m; var b7 = m;
  var c0 = s; var c1 = s; var c2 = s; var c3 = s; var c4 = s; var c5 = s; var c6 = s; var c7 = s;
  var d0 = m; var d1 = m; var d2 = m; var d3 = m; var d4 = m; var d5 = m; var d6 = m; var d7 = m;
  for (var i = 0u; i < 512u; i++) {
    a0 = a0 * s + m; a1 = a1 * s + m; a2 = a2 * s + m; a3 = a3 * s + m; a4 = a4 * s + m; a5 = a5 * s + m; a6 = a6 * s + m; a7 = a7 * s + m;
    b0 = b0 * s + m; b1 = b1 * s + m; b2 = b2 * s + m; b3 = b3 * s + m; b4 = b4 * s + m; b5 = b5 * s + m; b6 = b6 * s + m; b7 = b7 * s + m;
    c0 = c0 * s + m; c1 = c1 * s + m; c2 = c2 * s + m; c3 = c3 * s + m; c4 = c4 * s + m; c5 = c5 * s + m; c6 = c6 * s + m; c7 = c7 * s + m;
    d0 = d0 * s + m; d1 = d1 * s + m; d2 = d2 * s + m; d3 = d3 * s + m; d4 = d4 * s + m; d5 = d5 * s + m; d6 = d6 * s + m; d7 = d7 * s + m;
  }
  y[id.x] = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + b0 + b1 + b2 + b3 + b4 + b5 + b6 + b7
    + c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + d0 + d1 + d2 + d3 + d4 + d5 + d6 + d7;
}
