// y[b, c, p] = act(x[b, c, p] a[c] + z[b, c, p] k[c] + d[c])
// N elements in all, C channels, P pixels of a plane; four elements a thread. HAS_Z 0 leaves out z k.
override N: u32;
override C: u32;
override P: u32;
override HAS_Z: u32 = 0u;
override ACTIVATION: u32 = 0u;

const ACTIVATION_none = 0u;
const ACTIVATION_relu = 1u;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> z: array<vec4f>;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> k: array<f32>;
@group(0) @binding(4) var<storage, read> d: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t * 4u >= N { return; }
  var v: vec4f;
  if P % 4u == 0u {
    let c = t / (P / 4u) % C;
    v = x[t] * a[c] + d[c];
    if HAS_Z == 1u { v += z[t] * k[c]; }
  } else {
    let c = (vec4u(t * 4u) + vec4u(0u, 1u, 2u, 3u)) / P % C;
    v = x[t] * vec4f(a[c.x], a[c.y], a[c.z], a[c.w]) + vec4f(d[c.x], d[c.y], d[c.z], d[c.w]);
    if HAS_Z == 1u { v += z[t] * vec4f(k[c.x], k[c.y], k[c.z], k[c.w]); }
  }
  if ACTIVATION == ACTIVATION_relu {
    v = select(v, vec4f(0.0), v <= vec4f(0.0));
  }
  y[t] = v;
}
