/**
 * CIFAR-100 (A. Krizhevsky, 2009): 32x32 colour photographs of a hundred kinds of things. The twenty groups that
 * they fall into are not read.
 *
 * @module
 */
import { cifarReader, parsePickledBatch, parseRecordBatch } from "./cifar_files.ts";
import type { DataSet } from "./data_set.ts";

/** What the classes are called, by label. */
const classes: readonly string[] = `
  apple, aquarium fish, baby, bear, beaver, bed, bee, beetle, bicycle, bottle, bowl, boy,
  bridge, bus, butterfly, camel, can, castle, caterpillar, cattle, chair, chimpanzee, clock,
  cloud, cockroach, couch, crab, crocodile, cup, dinosaur, dolphin, elephant, flatfish,
  forest, fox, girl, hamster, house, kangaroo, keyboard, lamp, lawn mower, leopard, lion,
  lizard, lobster, man, maple tree, motorcycle, mountain, mouse, mushroom, oak tree, orange,
  orchid, otter, palm tree, pear, pickup truck, pine tree, plain, plate, poppy, porcupine,
  possum, rabbit, raccoon, ray, road, rocket, rose, sea, seal, shark, shrew, skunk,
  skyscraper, snail, snake, spider, squirrel, streetcar, sunflower, sweet pepper, table, tank,
  telephone, television, tiger, tractor, train, trout, tulip, turtle, wardrobe, whale, willow
  tree, wolf, woman, worm
`.trim().split(/,\s+/);

const set = { name: "cifar100", title: "CIFAR-100", imageShape: [3, 32, 32], classes } as const;

/** CIFAR-100. */
export const cifar100 = {
  ...set,
  ...cifarReader({
    ...set,
    versions: [
      {
        folder: "cifar-100-binary",
        archive: "cifar-100-binary.tar.gz",
        batches: { train: ["train.bin"], test: ["test.bin"] },
        // The group stands before the class.
        parse: (bytes, name) => parseRecordBatch(bytes, name, { numbers: 2, classes: 100 }),
      },
      {
        folder: "cifar-100-python",
        archive: "cifar-100-python.tar.gz",
        batches: { train: ["train"], test: ["test"] },
        parse: (bytes, name) =>
          parsePickledBatch(bytes, name, { key: "fine_labels", classes: 100 }),
      },
    ],
    download: "cifar-100-binary.tar.gz",
    // The published ones have up to 155,249,918.
    mostBatch: 192 * 2 ** 20,
  }),
  shows: "objects",
  downloads: [{
    name: "cifar-100-binary.tar.gz",
    path: "cifar-100-binary.tar.gz",
    // The size and the SHA-256 sum that TensorFlow Datasets goes by.
    size: 168_513_733,
    checksum: {
      algorithm: "sha256",
      hex: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    },
    urls: ["https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"],
  }],
  parts: {
    train: { name: "CIFAR-100 train", count: 50_000 },
    test: { name: "CIFAR-100 test", count: 10_000 },
  },
} as const satisfies DataSet;
