// y[o, s, n] = sum or max of x[o, r, n] over the rows r of split s; argmax: first r of the max
// x [OUTER, R, INNER], y [OUTER, SPLIT, INNER], N elements; split s from row s ceil(R / SPLIT).
//
// Partial results of rows 0, 4, 8.., of 1, 5, 9.. and so on are joined as (p0 p1) (p2 p3): the
// order is fixed. NaN counts as the largest value. argmax needs SPLIT = 1.
// Sixteen rows a turn, also because lavapipe silently ends a thread after 65,535 loop turns.
override OP: u32;
override N: u32;
override R: u32;
override INNER: u32 = 1u;
override SPLIT: u32 = 1u;

const OP_sum = 0u;
const OP_max = 1u;
const OP_argmax = 2u;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= N { return; }
  let rows = (R + SPLIT - 1u) / SPLIT;
  let first = min(t / INNER % SPLIT * rows, R);
  let last = min(first + rows, R);
  let base = t / (INNER * SPLIT) * (R * INNER) + t % INNER;
  if OP == OP_argmax {
    y[t] = argmax(base);
    return;
  }

  let start = select(0.0, -3.4028235e38, OP == OP_max);
  var p = vec4f(start);
  var r = first;
  if INNER == 1u && R % 4u == 0u && rows % 4u == 0u {
    for (; r + 16u <= last; r += 16u) {
      let i = (base + r) / 4u;
      p = join4(p, join4(join4(x[i], x[i + 1u]), join4(x[i + 2u], x[i + 3u])));
    }
    for (; r < last; r += 4u) { p = join4(p, x[(base + r) / 4u]); }
  } else {
    for (; r + 16u <= last; r += 16u) {
      let low = join4(four(base, r), four(base, r + 4u));
      p = join4(p, join4(low, join4(four(base, r + 8u), four(base, r + 12u))));
    }
    for (; r + 4u <= last; r += 4u) { p = join4(p, four(base, r)); }
    var rest = vec4f(start);
    if r < last { rest.x = at(base + r * INNER); }
    if r + 1u < last { rest.y = at(base + (r + 1u) * INNER); }
    if r + 2u < last { rest.z = at(base + (r + 2u) * INNER); }
    p = join4(p, rest);
  }
  let q = join4(vec4f(p.xz, 0.0, 0.0), vec4f(p.yw, 0.0, 0.0));
  y[t] = join4(vec4f(q.x), vec4f(q.y)).x;
}

fn join4(p: vec4f, v: vec4f) -> vec4f {
  if OP == OP_sum { return p + v; }
  return select(p, v, (v > p) | (bits4(v) > vec4u(0x7f800000u)));
}

fn argmax(base: u32) -> f32 {
  var best = at(base);
  var index = 0u;
  for (var r = 1u; r < R; r++) {
    let v = at(base + r * INNER);
    if v > best || (nan(v) && !nan(best)) {
      best = v;
      index = r;
    }
  }
  return f32(index);
}

fn four(base: u32, r: u32) -> vec4f {
  let i = base + r * INNER;
  return vec4f(at(i), at(i + INNER), at(i + 2u * INNER), at(i + 3u * INNER));
}

fn at(i: u32) -> f32 {
  return x[i / 4u][i % 4u];
}

fn bits4(v: vec4f) -> vec4u {
  return bitcast<vec4u>(v) & vec4u(0x7fffffffu);
}

fn nan(v: f32) -> bool {
  return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u;
}
