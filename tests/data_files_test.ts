/** Data files that are no files, or larger than their set: refused or passed over, never waited for. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import {
  type DataSet,
  describeData,
  download,
  loadCifar10,
  loadNotMnist,
  loadSvhn,
  openSets,
  readIdx,
  sets,
} from "../data/mod.ts";
import { notMnistFiles, png, says } from "./data_support.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { inFolder } from "./support.ts";

/** Files of the sets: each holds images to evaluate on. */
const places: readonly { readonly path: string; readonly set: DataSet }[] = [
  { path: "MNIST/raw/t10k-images-idx3-ubyte.gz", set: sets.mnist },
  { path: "FashionMNIST/raw/t10k-labels-idx1-ubyte.gz", set: sets["fashion-mnist"] },
  { path: "notMNIST_small.tar.gz", set: sets.notmnist },
  { path: "cifar-10-python.tar.gz", set: sets.cifar10 },
  { path: "cifar-10-batches-bin/test_batch.bin", set: sets.cifar10 },
  { path: "SVHN/test_32x32.mat", set: sets.svhn },
];

const digits = { inDomain: "mnist", outDomain: "notmnist" } as const;

async function pipe(path: string): Promise<void> {
  const { success } = await new Deno.Command("sh", { args: ["-c", 'mkfifo "$0"', path] }).output();
  assert.ok(success);
}

/** What stands where a file should, and is none. */
const odd: Readonly<Record<string, (path: string) => Promise<void>>> = {
  "a folder": (path) => Deno.mkdir(path),
  "a pipe": pipe,
  "a link that leads nowhere": (path) => Deno.symlink("nowhere", path),
};

const posix = { ignore: Deno.build.os === "windows" };

/** A file of this size that takes no room. */
async function sparse(path: string, size: number): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  using file = await Deno.open(path, { write: true, create: true });
  await file.truncate(size);
}

Deno.test("a folder, a pipe or a dead link in a file's place is not the file", posix, async () => {
  for (const { path, set } of places) {
    for (const [what, make] of Object.entries(odd)) {
      await inFolder(async (folder) => {
        await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
        await make(join(folder, path));
        assert.notDeepEqual(await set.missing(folder, "test"), [], `${path} as ${what}`);
        await assert.rejects(
          set.load(folder, "test"),
          says(/there is no such file; run .*denow task data/),
        );
      });
    }
  }
});

Deno.test("links in a circle are refused in a file's place", posix, async () => {
  for (const { path, set } of places) {
    await inFolder(async (folder) => {
      await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
      await Deno.symlink(join(folder, path), join(folder, path));
      await assert.rejects(set.load(folder, "test"), says(/its links lead in a circle/));
    });
  }
});

Deno.test(
  "what is no file, or too large for a letter, is passed over in notMNIST's folders",
  posix,
  () =>
    inFolder(async (folder) => {
      for (const { name, data } of notMnistFiles()) {
        await Deno.mkdir(dirname(join(folder, name)), { recursive: true });
        await Deno.writeFile(join(folder, name), data);
      }
      const a = join(folder, "notMNIST_small", "A");
      const before = await loadNotMnist(folder);
      await pipe(join(a, "0pipe.png"));
      await Deno.mkdir(join(a, "1folder.png"));
      await Deno.symlink("nowhere", join(a, "2dangling.png"));
      await Deno.symlink(join(a, "3loop.png"), join(a, "3loop.png"));
      await Deno.symlink("/dev/zero", join(a, "4zero.png"));
      await Deno.writeFile(join(a, "5large.png"), png(1));
      await sparse(join(a, "5large.png"), 2 ** 20 + 1);
      const set = await loadNotMnist(folder);
      assert.equal(set.sha256, before.sha256);
      const odd = ["0pipe", "1folder", "2dangling", "3loop", "4zero", "5large"];
      assert.deepEqual(set.skipped?.slice(0, 6), odd.map((name) => `A/${name}.png`));
      assert.equal(set.skipped?.length, (before.skipped?.length ?? 0) + 6);
      const row = (await describeData(folder)).find(({ name }) => name === "notMNIST");
      assert.match(row?.note ?? "", /36 unreadable or of another size, passed over/);
    }),
);

Deno.test(
  "a data path that is no folder is refused; one that leads nowhere is missing",
  posix,
  () =>
    inFolder(async (folder) => {
      const [file, fifo] = [join(folder, "file"), join(folder, "pipe")];
      const [loop, dead] = [join(folder, "loop"), join(folder, "dead")];
      await Deno.writeFile(file, new Uint8Array());
      await pipe(fifo);
      await Deno.symlink(loop, loop);
      await Deno.symlink("nowhere", dead);
      const [source] = sets.svhn.downloads;
      for (
        const [path, state] of [[file, /it is no folder/], [fifo, /it is no folder/], [
          loop,
          /circle/,
        ]] as const
      ) {
        await assert.rejects(openSets(digits, path), says(state));
        await assert.rejects(describeData(path), says(state));
        await assert.rejects(download(source, { destination: path, urls: [] }), says(state));
      }
      await assert.rejects(openSets(digits, "/dev/zero"), says(/no folder|system's own files/));
      await assert.rejects(openSets(digits, dead), says(/is missing; run/));
    }),
);

Deno.test(
  "a download waits for no pipe in its place",
  posix,
  () =>
    inFolder(async (destination) => {
      const [source] = sets.notmnist.downloads;
      await pipe(join(destination, `${source.path}.part`));
      const made = download(source, { destination, urls: ["http://127.0.0.1:1/"] });
      await assert.rejects(
        made,
        says(/notMNIST_small.tar.gz.part": what stands there is no file; remove it$/),
      );
    }),
);

Deno.test("a file that is larger than its set needs is refused unread", async () => {
  const large: Readonly<Record<string, number>> = {
    "notMNIST_small.tar.gz": 128,
    "cifar-10-python.tar.gz": 256,
    "cifar-10-batches-bin/test_batch.bin": 64,
    "SVHN/test_32x32.mat": 384,
  };
  for (const { path, set } of places) {
    const mebibytes = large[path];
    if (mebibytes === undefined) continue;
    await inFolder(async (folder) => {
      await sparse(join(folder, path), mebibytes * 2 ** 20 + 1);
      const most = mebibytes * 2 ** 20;
      await assert.rejects(
        set.load(folder, "test"),
        says(new RegExp(`has ${most + 1} bytes, more than ${most}`)),
      );
    });
  }
});

Deno.test("a packed file may not unpack to more than its set needs", () =>
  inFolder(async (folder) => {
    const part = gzipSync(new Uint8Array(2 ** 24));
    const write = (path: string, parts: number): Promise<void> =>
      Deno.writeFile(join(folder, path), Uint8Array.from(new Array(parts).fill([...part]).flat()));
    await write("x", 5);
    await assert.rejects(readIdx(join(folder, "x")), says(/unpacks to more than 67108864 bytes/));
    await assert.rejects(readIdx(join(folder, "x"), 2 ** 27), says(/not an IDX file/));
    await write("notMNIST_small.tar.gz", 9);
    await assert.rejects(loadNotMnist(folder), says(/unpacks to more than 134217728 bytes/));
    await write("cifar-10-python.tar.gz", 17);
    await assert.rejects(loadCifar10(folder, "test"), says(/to more than 268435456 bytes/));
  }));

for (const name of ["svhn_row", "svhn_int64"]) {
  testWithShared(`${name} is read as torchvision does`, [`cases/${name}`], async () => {
    const { labels, sha256 } = await loadSvhn(sharedPath(`cases/${name}`));
    assert.deepEqual([...labels], [0, 0, 0, 0, 0, 2, 3, 0, 0, 0, 0, 1, 0, 8, 1, 0, 0, 3, 0, 0]);
    assert.equal(sha256, "705f19b965306225b0de0ea2f1ed61129f0a0d8aa5be226779bf9d55d20bf8aa");
  });
}

testWithShared(
  "PNGs of 8192 x 8192 are passed over by their header",
  ["cases/png_bomb_tar"],
  async () => {
    const { count, skipped } = await loadNotMnist(sharedPath("cases/png_bomb_tar"));
    assert.deepEqual([count, skipped?.length], [11, 20]);
  },
);
