// y[b, c, p] = act(x[b, c, p] a[c] + z[b, c, p] k[c] + d[c])
// N elements in all, C channels, P pixels of a plane. HAS_Z 0 leaves out z k.
// A thread makes EACH times four elements of a plane, of which it has a divisor of P / 4; or four elements in any planes.
override N: u32;
override C: u32;
override P: u32;
override EACH: u32 = 1u; // 1 to 8
override HAS_Z: u32 = 0u;
override ACTIVATION: u32 = 0u;

const ACTIVATION_none = 0u;
const ACTIVATION_relu = 1u;
const ACTIVATION_relu6 = 2u;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> z: array<vec4f>; // if HAS_Z
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> k: array<f32>; // if HAS_Z
@group(0) @binding(4) var<storage, read> d: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;

fn finish(scaled: vec4f, t: u32, factor: vec4f) -> vec4f {
  var v = scaled;
  if HAS_Z == 1u { v += z[t] * factor; }
  if ACTIVATION != ACTIVATION_none {
    v = select(v, vec4f(0.0), v <= vec4f(0.0));
  }
  if ACTIVATION == ACTIVATION_relu6 {
    v = select(v, vec4f(6.0), v >= vec4f(6.0));
  }
  return v;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if i * EACH * 4u >= N { return; }
  if P % 4u == 0u {
    let apart = P / (4u * EACH);
    let plane = i / apart;
    let c = plane % C;
    let t = plane * (P / 4u) + i % apart;
    let ac = a[c];
    let dc = d[c];
    var kc = 0.0;
    if HAS_Z == 1u { kc = k[c]; }
    y[t + {j}u * apart] = finish(x[t + {j}u * apart] * ac + dc, t + {j}u * apart, vec4f(kc)); // each j < EACH
  } else {
    let c = (vec4u(i * 4u) + vec4u(0u, 1u, 2u, 3u)) / P % C;
    let v = x[i] * vec4f(a[c.x], a[c.y], a[c.z], a[c.w]) + vec4f(d[c.x], d[c.y], d[c.z], d[c.w]);
    y[i] = finish(v, i, vec4f(k[c.x], k[c.y], k[c.z], k[c.w]));
  }
}
