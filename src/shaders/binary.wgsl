// y[i] = f(a[(i / A_DIV) % A_MOD], b[(i / B_DIV) % B_MOD]), f by OP: add, greater (1 or 0), ...
// N elements of y, four a thread; a MOD of 0 means no modulus. max and min hand NaN on, too.
override OP: u32;
override N: u32;
override A_DIV: u32 = 1u;
override A_MOD: u32 = 0u;
override B_DIV: u32 = 1u;
override B_MOD: u32 = 0u;

const OP_add = 0u;
const OP_sub = 1u;
const OP_mul = 2u;
const OP_div = 3u;
const OP_max = 4u;
const OP_min = 5u;
const OP_greater = 6u;
const OP_equal = 7u;

@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  let i = t * 4u;
  if i >= N { return; }

  // Four neighbours are one vector, one shared scalar, or four scalars, as DIV and MOD allow.
  var p: vec4f;
  if A_DIV == 1u && A_MOD % 4u == 0u {
    p = a[modulo(t, A_MOD / 4u)];
  } else if A_DIV % 4u == 0u || A_MOD == 1u {
    p = vec4f(a_at(i));
  } else {
    p = vec4f(a_at(i), a_at(i + 1u), a_at(i + 2u), a_at(i + 3u));
  }
  var q: vec4f;
  if B_DIV == 1u && B_MOD % 4u == 0u {
    q = b[modulo(t, B_MOD / 4u)];
  } else if B_DIV % 4u == 0u || B_MOD == 1u {
    q = vec4f(b_at(i));
  } else {
    q = vec4f(b_at(i), b_at(i + 1u), b_at(i + 2u), b_at(i + 3u));
  }
  y[t] = apply(p, q);
}

fn a_at(i: u32) -> f32 {
  let j = modulo(i / A_DIV, A_MOD);
  return a[j / 4u][j % 4u];
}

fn b_at(i: u32) -> f32 {
  let j = modulo(i / B_DIV, B_MOD);
  return b[j / 4u][j % 4u];
}

fn modulo(i: u32, m: u32) -> u32 {
  return select(i % max(m, 1u), i, m == 0u);
}

fn apply(p: vec4f, q: vec4f) -> vec4f {
  switch OP {
    case OP_add { return p + q; }
    case OP_sub { return p - q; }
    case OP_mul { return p * q; }
    case OP_div { return p / q; }
    case OP_max { return select(select(q, p, p > q), p + q, nan(p) | nan(q)); }
    case OP_min { return select(select(q, p, p < q), p + q, nan(p) | nan(q)); }
    case OP_greater { return select(vec4f(0.0), vec4f(1.0), p > q); }
    case OP_equal, default { return select(vec4f(0.0), vec4f(1.0), p == q); }
  }
}

fn nan(v: vec4f) -> vec4<bool> {
  return (bitcast<vec4u>(v) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
}
