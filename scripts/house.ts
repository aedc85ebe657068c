/**
 * The house in numbers, from its imports: rooms (folders), arrows between them, floors, and circles.
 *
 *     ./denow task house
 *
 * @module
 */

/** Files by path from the root, with the paths that each imports. */
export type Imports = ReadonlyMap<string, readonly string[]>;

/** What the imports of a tree amount to. */
export interface House {
  readonly files: number;
  readonly rooms: readonly string[];
  /** `from > to` of rooms. */
  readonly arrows: readonly string[];
  /** Longest way down from a room, in rooms. */
  readonly floors: number;
  /** Files that import each other in a circle. */
  readonly fileCircles: readonly (readonly string[])[];
  /** Rooms that do. */
  readonly roomCircles: readonly (readonly string[])[];
}

/** The folders in which the program itself lives. */
const parts = ["src", "data", "main.ts", "mod.ts"] as const;

/** Relative imports of a file as paths from the root; comments may show others. */
export function importsOf(path: string, text: string): string[] {
  const code = text.replace(/^ *\*.*$/gm, "");
  const at = new URL(path, "file:///");
  return [...code.matchAll(/\b(?:from\s+|import\s+|import\(\s*)"(\.[^"]+)"/g)]
    .map((m) => new URL(m[1] ?? "", at).pathname.slice(1));
}

/** Imports of every TypeScript file of the program under a root. */
export async function readImports(root: URL): Promise<Imports> {
  const found = new Map<string, readonly string[]>();
  const visit = async (path: string): Promise<void> => {
    if (path.endsWith(".ts")) {
      found.set(path, importsOf(path, await Deno.readTextFile(new URL(path, root))));
      return;
    }
    for await (const { name, isDirectory } of Deno.readDir(new URL(`${path}/`, root))) {
      if (isDirectory || name.endsWith(".ts")) await visit(`${path}/${name}`);
    }
  };
  for (const part of parts) await visit(part);
  return found;
}

/** The room of a file: its folder, or itself at the root. */
export function roomOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : path;
}

/** Draws the house. */
export function houseOf(imports: Imports): House {
  const doors = new Map<string, Set<string>>();
  for (const [path, targets] of imports) {
    const from = roomOf(path);
    const to = doors.get(from) ?? new Set<string>();
    doors.set(from, to);
    targets.filter((t) => t !== "deno.json" && roomOf(t) !== from).forEach((t) =>
      to.add(roomOf(t))
    );
  }
  const rooms = [...doors.keys()].sort();
  const roomsBelow = (room: string): readonly string[] => [...doors.get(room) ?? []];
  const roomCircles = circles(rooms, roomsBelow);
  const height = new Map<string, number>();
  const floorOf = (room: string): number => {
    const known = height.get(room);
    if (known !== undefined) return known;
    height.set(room, 1);
    const floor = 1 + Math.max(0, ...roomsBelow(room).map(floorOf));
    height.set(room, floor);
    return floor;
  };
  return {
    files: imports.size,
    rooms,
    arrows: rooms.flatMap((from) => roomsBelow(from).map((to) => `${from} > ${to}`)),
    floors: Math.max(...rooms.map(floorOf)),
    fileCircles: circles([...imports.keys()], (path) => imports.get(path) ?? []),
    roomCircles,
  };
}

/** Sets of nodes that reach each other (R. Tarjan, "Depth-first search and linear graph algorithms", 1972). */
function circles(
  nodes: readonly string[],
  below: (node: string) => readonly string[],
): string[][] {
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const path: string[] = [];
  const found: string[][] = [];
  const visit = (node: string): void => {
    order.set(node, order.size);
    lowest.set(node, order.size - 1);
    path.push(node);
    for (const next of below(node)) {
      if (!order.has(next)) visit(next);
      else if (!path.includes(next)) continue;
      lowest.set(node, Math.min(lowest.get(node) ?? 0, lowest.get(next) ?? 0));
    }
    if (lowest.get(node) !== order.get(node)) return;
    const circle = path.splice(path.indexOf(node));
    if (circle.length > 1) found.push(circle);
  };
  for (const node of nodes) if (!order.has(node)) visit(node);
  return found;
}

if (import.meta.main) {
  const house = houseOf(await readImports(new URL("../", import.meta.url)));
  console.log(
    `${house.files} files in ${house.rooms.length} rooms on ${house.floors} floors, ` +
      `${house.arrows.length} arrows; circles: ${house.fileCircles.length} of files, ` +
      `${house.roomCircles.length} of rooms`,
  );
  for (const arrow of house.arrows) console.log(arrow);
}
