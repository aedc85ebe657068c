// v' = MOMENTUM v + (g + WEIGHT_DECAY w), w' = w - lr v'
// P parameters (a multiple of 4), four a thread; state and next [2, P]: w, then v; g [P], lr [1].
override P: u32;
override MOMENTUM: f32;
override WEIGHT_DECAY: f32;

@group(0) @binding(0) var<storage, read> state: array<vec4f>;
@group(0) @binding(1) var<storage, read> g: array<vec4f>;
@group(0) @binding(2) var<storage, read> lr: array<f32>;
@group(0) @binding(3) var<storage, read_write> next: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= P / 4u { return; }
  let w = state[t];
  let v = MOMENTUM * state[P / 4u + t] + (g[t] + WEIGHT_DECAY * w);
  next[t] = w - lr[0] * v;
  next[P / 4u + t] = v;
}
