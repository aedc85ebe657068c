"""Writes two batches of CIFAR-10's kind beside this file, as NumPy pickles them at protocol 2.

    python3 tests/golden/make_cifar_batch.py

cifar_batch.pickle has its rows one after another, cifar_batch_by_column.pickle its columns. Byte j of
image i is (7 i + j) mod 256.
"""

import os
import pickle

import numpy

here = os.path.dirname(os.path.abspath(__file__))
data = numpy.fromfunction(lambda i, j: (7 * i + j) % 256, (2, 3072), dtype=int).astype("uint8")

for name, array in [("cifar_batch", data), ("cifar_batch_by_column", numpy.asfortranarray(data))]:
    with open(os.path.join(here, f"{name}.pickle"), "wb") as file:
        pickle.dump({"labels": [3, 9], "data": array}, file, protocol=2)
